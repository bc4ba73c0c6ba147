// Package fhir is the FHIR R4 face of the vault. Patients are named by their token only.
package fhir

import (
	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
)

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
}

// Register adds the routes to r, the /fhir group behind authentication.
func Register(r gin.IRouter, cfg Config) {
	answer.Get(r, "/AuditEvent", auditEvents{cfg.Vault}.search)
	r.POST("/CareTeam", careTeams{cfg.Vault}.team)
	r.POST("/Encounter", careTeams{cfg.Vault}.encounter)
	answer.Get(r, "/Consent", consents{cfg.Vault}.search)
	r.POST("/Consent", consents{cfg.Vault}.create)
}
