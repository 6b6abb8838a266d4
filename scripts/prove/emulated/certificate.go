package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

func (e *emulator) certificateFile() string { return filepath.Join(e.dir, "certificate.pem") }
func (e *emulator) keyFile() string         { return filepath.Join(e.dir, "key.pem") }

// certificateNames returns the hosts that the emulator serves.
func certificateNames() []string {
	names := []string{"localhost", "*.localhost", "*.cloudfront.net", "queue.amazonaws.com", "*." + zoneName, "*." + domain}
	for _, region := range regions {
		names = append(names, "*."+region+".amazonaws.com", "*.lambda-url."+region+".on.aws", "*."+region+".elb.amazonaws.com",
			"*.s3."+region+".amazonaws.com", "*.s3.dualstack."+region+".amazonaws.com")
	}
	return names
}

// makeCertificate makes a self-signed certificate that is valid for a day, writes it
// and its key to files, and returns a pool that trusts it.
func (e *emulator) makeCertificate() (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "AWS emulator"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              certificateNames(),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(e.certificateFile(), text, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(e.keyFile(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return nil, err
	}
	e.certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool, nil
}
