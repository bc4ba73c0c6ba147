package main

import (
	"medvault/vault/retention"
)

// RetentionConfig is for how long this deployment keeps documents at home, where that is
// longer than the table of this version says (vault/retention): never less than its floor.
type RetentionConfig struct {
	Years      int            `yaml:"years"`      // from the last treatment, of categories that are not named; default the table's
	Categories map[string]int `yaml:"categories"` // years by category of documents
}

// retention is the table that a deployment goes by.
func (c *Config) retention() (retention.Table, error) {
	t := retention.Default()
	if c.Retention.Years == 0 && len(c.Retention.Categories) == 0 {
		return t, nil
	}
	return t.With(c.Home, c.Retention.Years, c.Retention.Categories)
}

func (c *Config) checkRetention(found *checks) {
	_, err := c.retention()
	found.addIf("retention", err)
}
