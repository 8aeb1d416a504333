package store_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"cbk/repo/store"
	"cbk/repo/store/storetest/server"
)

// BenchmarkCreate writes packs and small objects. Run it with -benchtime=20x:
// a directory or server fills up.
func BenchmarkCreate(b *testing.B) {
	minio := server.MinIO(b, "")
	for _, e := range [][2]string{{"AWS_ACCESS_KEY_ID", server.User}, {"AWS_SECRET_ACCESS_KEY", server.Secret}} {
		b.Setenv(e[0], e[1])
	}
	for _, size := range []int{1 << 10, 64 << 20} {
		for name, url := range map[string]string{"directory": b.TempDir(), "minio": minio.Path("bench")} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) { benchmarkCreate(b, url, size) })
		}
	}
}

func benchmarkCreate(b *testing.B, url string, size int) {
	s, err := store.Open(b.Context(), url, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	data := bytes.Repeat([]byte("x"), size)
	b.SetBytes(int64(size))
	for i := 0; b.Loop(); i++ {
		binary.BigEndian.PutUint64(data, uint64(i))
		if err := s.Create(b.Context(), fmt.Sprintf("packs/%d/%d/%d", size, b.N, i), data); err != nil {
			b.Fatal(err)
		}
	}
}
