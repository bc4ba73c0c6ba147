package vault

import (
	"net/netip"

	"medvault/vault/record"
)

// BlindAddress is the keyed pseudonym of a network address as leaves of the log hold it:
// whoever knows an address finds its acts through the vault, and the log tells nobody
// where people sit. What is no IP address, and every address in a gateway of content keys
// alone, is "".
func (v *Vault) BlindAddress(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || v.tokens == nil || v.cfg.ContentOnly {
		return ""
	}
	return v.tokens.Address(ip.Unmap().WithZone("").String())
}

// withAddress is the selector of a person's address in the log.
func (v *Vault) withAddress(address string) (string, error) {
	blind := v.BlindAddress(address)
	if blind == "" {
		return "", record.Refuse(record.ErrInvalid, "bad-address", "name an IP address")
	}
	return blind, nil
}
