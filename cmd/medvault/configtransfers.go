package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"medvault/api/transport"
	"medvault/vault/residency"
)

// TransfersConfig are the registers of whom patients' data may go to: countries beside the
// home jurisdiction, and institutions anywhere. Who is not in them gets nothing, whatever
// patients have agreed to.
type TransfersConfig struct {
	Countries  []CountryConfig   `yaml:"countries"`
	Recipients []RecipientConfig `yaml:"recipients"`
	CAFile     string            `yaml:"caFile"` // authority of the recipients' DICOMweb servers; default the system's
}

// CountryConfig is a finding that a country protects data adequately.
type CountryConfig struct {
	Country  string `yaml:"country"`  // ISO 3166-1 alpha-2
	Document string `yaml:"document"` // where it is written: an id, path or URL
	Expires  string `yaml:"expires"`  // last day on which it holds, as 2027-03-31 (UTC)
}

// RecipientConfig is an institution with which there is an agreement.
type RecipientConfig struct {
	Name      string `yaml:"name"`
	Country   string `yaml:"country"`   // ISO 3166-1 alpha-2
	Agreement string `yaml:"agreement"` // an id, path or URL
	DICOMweb  string `yaml:"dicomweb"`  // root of its DICOMweb services, which take what patients have sent there; default none
	TokenFile Secret `yaml:"tokenFile"` // bearer token that they ask for; default none
	Expires   string `yaml:"expires"`   // last day on which it holds, as 2027-03-31 (UTC)
}

// lastDay is the end of the last day on which something holds.
func lastDay(day string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, day)
	return t.AddDate(0, 0, 1), err
}

func (t TransfersConfig) check(found *checks) {
	countries, recipients := make(map[string]bool), make(map[string]bool)
	for i, c := range t.Countries {
		at := fmt.Sprintf("transfers.countries[%d]", i)
		found.country(at+".country", c.Country)
		checkEntry(found, at, "document", c.Document, c.Expires)
		if countries[c.Country] {
			found.add(at+".country", "%q is used twice", c.Country)
		}
		countries[c.Country] = true
	}
	for i, r := range t.Recipients {
		at := fmt.Sprintf("transfers.recipients[%d]", i)
		if found.required(at+".name", r.Name) && r.Name == residency.Anyone {
			found.add(at+".name", "found %q; every recipient has an agreement of its own", r.Name)
		}
		found.country(at+".country", r.Country)
		checkEntry(found, at, "agreement", r.Agreement, r.Expires)
		if r.DICOMweb != "" {
			found.addIf(at+".dicomweb", transport.CheckURL(r.DICOMweb))
		}
		if recipients[r.Name] {
			found.add(at+".name", "%q is used twice", r.Name)
		}
		recipients[r.Name] = true
	}
}

func checkEntry(found *checks, at, key, document, expires string) {
	found.required(at+"."+key, document)
	if _, err := lastDay(expires); err != nil {
		found.add(at+".expires", "found %q, want the last day on which it holds, as 2027-03-31", expires)
	}
}

// registers are the transfers as the vault reads them, once they are checked.
func (t TransfersConfig) registers() (known residency.Registers, err error) {
	known = residency.Registers{Countries: make(map[string]residency.Country), Recipients: make(map[string]residency.Recipient)}
	for _, c := range t.Countries {
		expires, err := lastDay(c.Expires)
		if err != nil {
			return known, fmt.Errorf("transfers: country %s: %w", c.Country, err)
		}
		known.Countries[c.Country] = residency.Country{Document: c.Document, Expires: expires}
	}
	for _, r := range t.Recipients {
		expires, err := lastDay(r.Expires)
		if err != nil {
			return known, fmt.Errorf("transfers: recipient %s: %w", r.Name, err)
		}
		known.Recipients[r.Name] = residency.Recipient{Country: r.Country, Document: r.Agreement, Expires: expires, Endpoint: strings.TrimRight(r.DICOMweb, "/")}
	}
	return known, nil
}

// receivers are what speaks to the recipients' DICOMweb servers, and the tokens they ask
// for, by name.
func (t TransfersConfig) receivers(p transport.Profile) (*http.Client, map[string]string, error) {
	roots, err := readRoots("transfers.caFile", t.CAFile)
	if err != nil {
		return nil, nil, err
	}
	tokens := make(map[string]string)
	for _, r := range t.Recipients {
		if r.TokenFile == "" {
			continue
		}
		if tokens[r.Name], err = r.TokenFile.Read(); err != nil {
			return nil, nil, fmt.Errorf("transfers: recipient %s: %w", r.Name, err)
		}
	}
	return p.HTTPClient(roots), tokens, nil
}

// devTransfers let a dev vault try everything out: the country of its foreign region is
// adequate, and whoever is named as a recipient is an institution at home.
func devTransfers(home, abroad string) TransfersConfig {
	const document, expires = "development", "2099-12-31"
	return TransfersConfig{
		Countries:  []CountryConfig{{Country: abroad, Document: document, Expires: expires}},
		Recipients: []RecipientConfig{{Name: residency.Anyone, Country: home, Agreement: document, Expires: expires}},
	}
}
