package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"cbk/pack"
)

// Settings say how content is cut and packed. They stand in the trust log, signed by the owner.
type Settings struct {
	PackSize   int        `json:"pack_size"` // bytes
	DataChunks pack.Sizes `json:"data_chunks"`
	MetaChunks pack.Sizes `json:"other_chunks"`
}

// DefaultPackSize is a compromise: at 64 MiB a petabyte costs $75 of PUT requests on S3, at 16 MiB $298, and three
// buffers of it still fit in 300 MiB of memory.
const DefaultPackSize = 64 << 20

// DefaultSettings returns the settings of a new repository.
func DefaultSettings() Settings {
	return Settings{PackSize: DefaultPackSize, DataChunks: pack.DataSizes, MetaChunks: pack.OtherSizes}
}

// Check refuses settings that would make objects no reader takes, or need more memory than a node can spare.
func (s *Settings) Check() error {
	if s.PackSize < 1<<20 || s.PackSize > pack.MaxPack/2 {
		return fmt.Errorf("pack size %d is not between 1 MiB and 128 MiB", s.PackSize)
	}
	return errors.Join(s.DataChunks.Check(), s.MetaChunks.Check())
}

// parseSettings reads settings as the owner signed them. Unknown fields are those of a newer version.
func parseSettings(text []byte) (s Settings, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("settings in the trust log: %w: %w", err, pack.ErrNewer)
	}
	if err := s.Check(); err != nil {
		return s, fmt.Errorf("settings in the trust log: %w", err)
	}
	return s, nil
}
