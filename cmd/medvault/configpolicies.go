package main

import (
	"fmt"
	"os"

	"medvault/vault/access"
)

// engine is the access policies of a gateway.
func (c *Config) engine() (*access.Engine, error) { return policiesOf(c.Policies) }

// policiesOf reads the built-in policies and those of a directory; "" is none.
func policiesOf(dir string) (*access.Engine, error) {
	if dir == "" {
		return access.New(nil)
	}
	e, err := access.Extend(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return e, nil
}
