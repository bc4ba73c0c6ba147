package identity

import (
	"context"
	"strings"

	"medvault/vault"
	"medvault/vault/record"
)

// Machines believes the API tokens of a vault, and leaves every other token to People.
type Machines struct {
	Vault  *vault.Vault
	People Authenticator
}

var _ Authenticator = Machines{}

// Authenticate asks the catalog each time: a token that is revoked proves nothing from
// the next request on.
func (m Machines) Authenticate(ctx context.Context, token string) (record.Actor, error) {
	if strings.HasPrefix(token, vault.APITokenPrefix) {
		return m.Vault.Machine(ctx, token)
	}
	return m.People.Authenticate(ctx, token)
}
