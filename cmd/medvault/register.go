package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"medvault/api/identity"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/staff"
)

// StaffConfig begins the staff register of a new vault.
type StaffConfig struct {
	// FirstAdmin is the subject of the person who is entered as administrator while the
	// register is empty.
	FirstAdmin string `yaml:"firstAdmin"`
}

// beginRegister enters the first administrator where there is nobody, and says so; that
// nobody is there and nobody is to be entered it says too: all staff are refused then.
func beginRegister(ctx context.Context, v *vault.Vault, cfg *Config, log *slog.Logger) error {
	if cfg.Staff.FirstAdmin == "" {
		begun, err := v.StaffBegun(ctx)
		if err == nil && !begun {
			log.Warn("the staff register is empty: nobody of the staff can do anything; set staff.firstAdmin")
		}
		return err
	}
	begun, err := v.BeginStaff(ctx, cfg.Staff.FirstAdmin, theHouse(cfg))
	if begun {
		log.Info("staff register begun", "administrator", cfg.Staff.FirstAdmin)
	}
	if begun || err != nil {
		return err
	}
	attested, err := v.ReattestAdmin(ctx, cfg.Staff.FirstAdmin)
	if attested {
		log.Warn("no administrator could act: the training of staff.firstAdmin is attested anew", "administrator", cfg.Staff.FirstAdmin)
	}
	return err
}

// theHouse is the institution that runs the vault.
func theHouse(cfg *Config) vault.StaffInstitution {
	return vault.StaffInstitution{ID: "house", Name: cfg.Identity.Institution, Country: cmp.Or(cfg.Identity.Country, cfg.Home),
		Issuer: cmp.Or(cfg.Identity.PatientIssuer, "house")}
}

// devRegister enters the people of a dev vault, and has them trained again before that
// would end their access.
func devRegister(ctx context.Context, v *vault.Vault) error {
	self := record.Actor{ID: "medvault", Role: record.RoleAdmin, Country: "CN", Purpose: record.PurposeSystem, Inside: true}
	people, err := v.Staff(ctx, self, "", 0)
	if err != nil {
		return err
	}
	known := make(map[string]vault.StaffPerson)
	for _, p := range people {
		known[p.Subject] = p
	}
	if len(known) == 0 {
		dev := identity.DevActor(record.RoleAdmin)
		house := vault.StaffInstitution{ID: dev.Institution, Name: "development", Country: dev.Country, Issuer: dev.Issuer, Own: true}
		if _, err := v.PutInstitution(ctx, self, house); err != nil {
			return err
		}
	}
	now := vault.Training{At: time.Now(), Reference: "development"}
	for _, role := range record.Roles() {
		if staff.Outside(role) {
			continue
		}
		a := identity.DevActor(role)
		p, there := known[a.ID]
		switch {
		case !there:
			_, err = v.AddStaff(ctx, self, vault.StaffPerson{Subject: a.ID, Roles: []record.Role{role}, Institution: a.Institution, Trainings: []vault.Training{now}})
		case p.TrainingEnds == nil || time.Until(*p.TrainingEnds) < 60*24*time.Hour:
			_, err = v.ChangeStaff(ctx, self, a.ID, func(p *vault.StaffPerson) error {
				p.Trainings = append(p.Trainings, now)
				return nil
			})
		}
		if err != nil && !errors.Is(err, record.ErrConflict) {
			return fmt.Errorf("enter %s: %w", a.ID, err)
		}
		err = nil
	}
	return nil
}
