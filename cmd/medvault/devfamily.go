package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"medvault/api/client"
	"medvault/api/identity"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
)

// devFamily makes the dev patient the patient of the sample study, and the dev guardian
// the mother of a sample child, whose documents lie in quarantine until she agrees. The dev
// clinician is essential to the child's treatment.
func devFamily(ctx context.Context, v *vault.Vault, url, token string) error {
	inside := record.Actor{ID: "medvault", Role: record.RoleAdmin, Country: "CN", Purpose: record.PurposeSystem, Inside: true}
	sample := v.PatientNamed(identity.DevActor(record.RoleRadiology), "", imagingtest.SamplePatient().ID)
	acting, err := v.Guardians(ctx, inside, sample)
	if err != nil {
		return fmt.Errorf("the dev patient: %w", err)
	}
	if len(acting) > 0 {
		return nil
	}
	c, err := client.New(client.Config{URL: url, Token: token})
	if err != nil {
		return err
	}
	child := imagingtest.NewPatient(2027)
	child.Issuer, child.BirthDate = "", time.Now().AddDate(-9, 0, 0).Format("20060102")
	image := imagingtest.CT(child, imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: 64, Columns: 64, Plain: true})
	if _, err := c.StoreDICOM(ctx, bytes.NewReader(image)); err != nil {
		return err
	}
	paper, err := c.StorePDF(ctx, bytes.NewReader(imagingtest.Report(child)), client.PDF{PatientID: child.ID, Title: "birth certificate, synthetic"})
	if err != nil {
		return err
	}
	mother := vault.NewGuardian{Subject: identity.DevActor(record.RoleGuardian).ID, Relation: "mother", Evidence: paper.ID}
	if _, err := v.AddGuardian(ctx, inside, paper.Patient, mother); err != nil {
		return fmt.Errorf("the dev guardian: %w", err)
	}
	if _, err := v.StateCare(ctx, inside, paper.Patient, vault.NewCare{Clinician: identity.DevActor(record.RoleClinician).ID, Essential: true}); err != nil {
		return fmt.Errorf("the child's care: %w", err)
	}
	_, err = v.AddGuardian(ctx, inside, sample, vault.NewGuardian{Subject: identity.DevActor(record.RolePatient).ID, Relation: "self"})
	return err
}
