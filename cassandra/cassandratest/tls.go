package cassandratest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What opens the stores of a node, and the user of its JMX.
const (
	storePassword = "store-secret"
	jmxUser       = "keeper"
	jmxPassword   = "jmx-secret"
)

// encryption is the part of cassandra.yaml that has the node speak TLS.
func (n *Node) encryption() string {
	return fmt.Sprintf(`client_encryption_options:
    enabled: true
    optional: false
    require_client_auth: %t
    keystore: %s
    keystore_password: %s
    truststore: %s
    truststore_password: %[3]s
    store_type: PKCS12
`, n.cluster.options.ClientAuth, n.path("conf/keystore.p12"), storePassword, n.path("conf/truststore.p12"))
}

// jmxOptions have the node's JMX ask for a user and for a certificate. The
// passwords of the stores go by a file, as to nodetool.
func (n *Node) jmxOptions() []string {
	return []string{
		"--add-exports", "java.management/com.sun.jmx.remote.security=ALL-UNNAMED",
		"-Dcom.sun.management.jmxremote.authenticate=true",
		"-Dcom.sun.management.jmxremote.password.file=" + n.path("conf/jmxremote.password"),
		"-Dcom.sun.management.jmxremote.access.file=" + n.path("conf/jmxremote.access"),
		"-Dcom.sun.management.jmxremote.ssl=true",
		"-Dcom.sun.management.jmxremote.ssl.need.client.auth=true",
		"@" + n.path("conf/nodetool-ssl.properties"),
	}
}

// writeSecrets makes an authority, a certificate of the node and one of a client,
// both signed by it, and the files of JMX.
func (n *Node) writeSecrets() error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	client, clientKey, err := ca.client()
	if err != nil {
		return err
	}
	properties := ""
	for _, store := range []string{"key", "trust"} {
		properties += fmt.Sprintf("-Djavax.net.ssl.%[1]sStore=%[2]s\n-Djavax.net.ssl.%[1]sStorePassword=%[3]s\n",
			store, n.path("conf/"+store+"store.p12"), storePassword)
	}
	for name, text := range map[string]string{
		"conf/ca.pem": string(ca.pem()), "conf/client.pem": client, "conf/client-key.pem": clientKey,
		"conf/jmxremote.password":      jmxUser + " " + jmxPassword + "\n",
		"conf/jmxremote.access":        jmxUser + " readwrite\n",
		"conf/nodetool-ssl.properties": properties,
	} {
		if err := os.WriteFile(n.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return n.writeStores(ca)
}

// writeStores has keytool make the node's key, and puts the certificate for it
// beside it.
func (n *Node) writeStores(ca *authority) error {
	java, err := java()
	if err != nil {
		return err
	}
	keytool := func(stdin string, args ...string) (string, error) {
		cmd := exec.Command(filepath.Join(filepath.Dir(java), "keytool"), append(args, "-storepass:env", "STORE", "-storetype", "PKCS12", "-noprompt")...)
		cmd.Env, cmd.Stdin = append(os.Environ(), "STORE="+storePassword), strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("keytool %s: %w: %s", args[0], err, out)
		}
		return string(out), err
	}
	key, trust := []string{"-alias", "node", "-keystore", n.path("conf/keystore.p12")}, []string{"-alias", "ca", "-keystore", n.path("conf/truststore.p12")}
	_, err = keytool("", append([]string{"-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=node"}, key...)...)
	if err != nil {
		return err
	}
	request, err := keytool("", append([]string{"-certreq"}, key...)...)
	if err != nil {
		return err
	}
	cert, err := ca.node(request, n.Address)
	if err != nil {
		return err
	}
	if _, err = keytool(string(ca.pem()), append([]string{"-importcert"}, trust...)...); err != nil {
		return err
	}
	_, err = keytool(cert+string(ca.pem()), append([]string{"-importcert"}, key...)...)
	return err
}

// authority signs certificates for a day.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := forADay("authority of a test")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key}, err
}

func forADay(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) sign(template *x509.Certificate, public any) (string, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), err
}

// node answers a request with a certificate for the node's address and that of
// its JMX.
func (a *authority) node(request, address string) (string, error) {
	_, after, _ := strings.Cut(request, "-----BEGIN") // keytool may warn before
	block, _ := pem.Decode([]byte("-----BEGIN" + after))
	if block == nil {
		return "", errors.New("keytool made no certificate request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", err
	}
	template := forADay("node")
	template.IPAddresses = []net.IP{net.ParseIP(address), net.IPv4(127, 0, 0, 1)}
	return a.sign(template, csr.PublicKey)
}

// client makes a certificate of a client and its key, in PEM form.
func (a *authority) client() (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	cert, err = a.sign(forADay("client"), &private.PublicKey)
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}
