//go:build unix

package apache

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"time"
)

// certify makes an authority and the broker's certificate for 127.0.0.1.
func (b *Broker) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, own.Public(), key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return err
	}
	var all, authority bytes.Buffer
	err = errors.Join(
		pem.Encode(&all, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: leafDER}),
		pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		pem.Encode(&authority, &pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
	)
	return errors.Join(err, os.WriteFile(b.path("server.pem"), all.Bytes(), 0o600),
		os.WriteFile(b.Authority(), authority.Bytes(), 0o600))
}
