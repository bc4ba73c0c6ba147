package main

import "medvault/api"

// SecurityConfig is whom somebody tells who has found a weakness in this deployment. It is
// served at /.well-known/security.txt (RFC 9116); nothing is when there is no contact.
type SecurityConfig struct {
	Contact   []string `yaml:"contact"`   // URIs, the preferred first: mailto:, https: or tel:
	Policy    string   `yaml:"policy"`    // https URL of how reports are dealt with; optional
	Languages []string `yaml:"languages"` // of reports, as zh or en; optional
}

func (c SecurityConfig) contact() api.SecurityContact {
	return api.SecurityContact{Contact: c.Contact, Policy: c.Policy, Languages: c.Languages}
}

func (c SecurityConfig) check(found *checks) {
	if problem := c.contact().Check(); problem != "" {
		found.add("security", "%s", problem)
	}
}
