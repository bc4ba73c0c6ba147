package vault

import (
	"context"
	"errors"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// erasedUnder names the erased patient whose documents lay under a name; "" is nobody.
func (v *Vault) erasedUnder(ctx context.Context, tx *catalog.Tx, a record.Actor, ref Ref) (record.PatientToken, error) {
	var candidates []record.PatientToken
	switch {
	case ref.Patient != "":
		candidates = append(candidates, ref.Patient)
	case ref.Document != "":
		o, err := tx.Object(ctx, ref.Document)
		if errors.Is(err, catalog.ErrNotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		candidates = append(candidates, o.Patient)
	default:
		for _, scope := range v.scopes(a, ref) { // original UIDs for those alone who may see them
			if scope.Study == "" {
				continue
			}
			found, err := tx.BuriedStudy(ctx, scope.Study)
			if err != nil {
				return "", err
			}
			candidates = append(candidates, found...)
		}
	}
	for _, token := range candidates {
		p, err := tx.Patient(ctx, token)
		if err == nil && p.State == catalog.Erased {
			return token, nil
		}
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return "", err
		}
	}
	return "", nil
}
