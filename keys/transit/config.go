package transit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
)

// complete fills in defaults and checks what is left.
func (c Config) complete() (Config, error) {
	setDefault(&c.Mount, "transit")
	setDefault(&c.Prefix, "medvault-")
	setDefault(&c.Auth.Mount, "approle")
	setDefault(&c.Shards, 256)
	setDefault(&c.MaxBatch, 500)
	setDefault(&c.Timeout, 10*time.Second)
	address, err := url.Parse(c.Address)
	switch {
	case c.Name == "":
		return c, errors.New("name is required")
	case err != nil || (address.Scheme != "http" && address.Scheme != "https") || address.Host == "":
		return c, errors.New("address must be http://HOST:PORT or https://HOST:PORT")
	case c.Shards < 1 || c.Shards > 256:
		return c, fmt.Errorf("%d shards; allowed are 1 to 256", c.Shards)
	case c.MaxBatch < 1:
		return c, fmt.Errorf("batches of %d items; allowed are 1 and more", c.MaxBatch)
	case c.Auth.Token == nil && (c.Auth.RoleID == "" || c.Auth.SecretID == nil):
		return c, errors.New("a token, or a role id and secret id, is required")
	case c.Auth.Token != nil && c.Auth.RoleID != "":
		return c, errors.New("either a token or a role id, not both")
	case c.Rotation != nil && (c.Rotation.RoleID == "" || c.Rotation.SecretID == nil || c.Rotation.Token != nil):
		return c, errors.New("rotation needs a role id and secret id")
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// dial makes a client that takes nothing from the environment: a VAULT_TOKEN or
// VAULT_SKIP_VERIFY of the shell must not reach a production gateway.
func (c Config) dial(timeout time.Duration) (*api.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		transport.TLSClientConfig = c.TLS.Clone()
	}
	transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	transport.ForceAttemptHTTP2 = false
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	transport.MaxIdleConnsPerHost = 32
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file %s holds no certificate", c.CAFile)
		}
	}
	client, err := api.NewClient(&api.Config{
		Address:      c.Address,
		Timeout:      timeout,
		MaxRetries:   2,
		MinRetryWait: 100 * time.Millisecond,
		MaxRetryWait: time.Second,
		HttpClient: &http.Client{
			Transport: transport,
			// The client follows redirects to the active node itself.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	if err != nil {
		return nil, err
	}
	client.ClearToken()
	client.ClearNamespace()
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return client, nil
}
