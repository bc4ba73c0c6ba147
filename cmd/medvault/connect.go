package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/api/client"
	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/vault/record"
)

// connection is how a command reaches a vault.
type connection struct {
	url, token, purpose string
	dev, as             string
	ca, profile         string
}

// addFlags gives cmd the flags of a connection. role is whose work the command is:
// the one that --dev takes without --as.
func (c *connection) addFlags(cmd *cobra.Command, role record.Role) {
	f := cmd.Flags()
	f.StringVar(&c.url, "url", "", "address of the vault (default $MEDVAULT_URL)")
	f.StringVar(&c.token, "token", "", "bearer token (default $MEDVAULT_TOKEN, which other users of this machine cannot see)")
	f.StringVar(&c.purpose, "purpose", "", "purpose of use, an HL7 v3 code (default: the role's own)")
	f.StringVar(&c.dev, "dev", "", "directory of a running `medvault dev`: take address and token from its dev.json")
	f.StringVar(&c.as, "as", string(role), "with --dev: role to act as")
	f.StringVar(&c.ca, "ca", "", "file with the certificate authority of the vault (default: the system's)")
	f.StringVar(&c.profile, "tls", string(transport.AES256), "TLS profile of the vault: aes256 or modern")
}

// open makes the client, without sending anything.
func (c *connection) open() (*client.Client, error) {
	if err := c.settle(); err != nil {
		return nil, usageError{err}
	}
	purpose := record.Purpose(c.purpose)
	if purpose != "" && !identity.Known(purpose) {
		return nil, usagef("--purpose %s is not an HL7 v3 PurposeOfUse code, as TREAT, HQUALIMP or HRESCH", c.purpose)
	}
	if err := transport.CheckURL(c.url); err != nil {
		return nil, usagef("--url: %w", err)
	}
	over, err := c.httpClient()
	if err != nil {
		return nil, usageError{err}
	}
	vault, err := client.New(client.Config{URL: c.url, Token: c.token, Purpose: purpose, HTTPClient: over})
	if err != nil {
		return nil, usageError{err}
	}
	return vault, nil
}

// settle finds address and token: flags, then dev.json, then the environment.
func (c *connection) settle() error {
	if c.dev != "" {
		if err := c.readDev(); err != nil {
			return err
		}
	}
	c.url = strings.TrimRight(cmp.Or(c.url, os.Getenv("MEDVAULT_URL")), "/")
	c.token = cmp.Or(c.token, os.Getenv("MEDVAULT_TOKEN"))
	switch {
	case c.url == "":
		return errors.New("which vault? give --url and --token, set MEDVAULT_URL and MEDVAULT_TOKEN, or give --dev DIR")
	case c.token == "":
		return errors.New("who asks? give --token, set MEDVAULT_TOKEN, or give --dev DIR")
	}
	return nil
}

// devFile is DIR/dev.json, which `medvault dev` writes when it is ready.
type devFile struct {
	URL      string            `json:"url"`
	DICOMweb string            `json:"dicomweb"`
	Tokens   map[string]string `json:"tokens"` // by role
}

func (c *connection) readDev() error {
	path := filepath.Join(c.dev, "dev.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there; start `medvault dev --dir %s` first", path, c.dev)
	}
	if err != nil {
		return err
	}
	var dev devFile
	if err := json.Unmarshal(text, &dev); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	token, ok := dev.Tokens[c.as]
	if !ok {
		return fmt.Errorf("--as %s: no such role; there are %s", c.as, strings.Join(slices.Sorted(maps.Keys(dev.Tokens)), ", "))
	}
	c.url = cmp.Or(c.url, dev.URL)
	c.token = cmp.Or(c.token, token)
	return nil
}

// httpClient has no overall timeout, because bodies stream and a large document is
// answered only once it is safe.
func (c *connection) httpClient() (*http.Client, error) {
	profile, err := transport.ParseProfile(c.profile)
	if err != nil {
		return nil, fmt.Errorf("--tls: %w", err)
	}
	roots, err := readRoots("--ca", c.ca)
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(profile == transport.Modern)
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:     profile.Client(roots),
			Protocols:           protocols,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 64,
			DisableCompression:  true,
		},
		// A vault redirects nobody, and a token goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
