package fhir

import "medvault/vault"

// ConsentResource is what a patient has said as a Consent (FHIR R4), for a file that they
// are given.
func ConsentResource(c vault.Consent) any { return consentResource(c) }

// AuditEventResource is a line of an access log as an AuditEvent (FHIR R4) with what proves
// it offline, for a file that the patient is given.
func AuditEventResource(log vault.AccessLog, line vault.AccessLine) any {
	return auditEventOf(log, line)
}
