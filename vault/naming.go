package vault

import "medvault/vault/record"

// TokenOf names a patient as the guard and the log do. It says nothing of whether there is
// such a patient: that is decided by the act it is for, and no answer may hold the token
// before.
func (v *Vault) TokenOf(issuer, patientID string) record.PatientToken {
	return record.PatientToken(v.tokens.Patient(issuer, patientID))
}
