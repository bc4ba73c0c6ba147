package main

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"medvault/api"
	"medvault/api/identity"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/staff"
)

// A gateway that is built of a configuration with hl7 hears a hospital's system, and what it
// says lets a clinician in and, at the discharge, out again.
func TestAGatewayHearsTheHospital(t *testing.T) {
	dir := t.TempDir()
	cfg, err := devConfig(dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.HL7.Listen, err = freePort("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	cfg.HL7.Zone = "Asia/Shanghai"
	cfg.HL7.Senders = []HL7SenderConfig{{Application: "HIS", Actor: "service:his", Issuers: map[string]string{"MRN": "dev"}, StaffAuthority: "STAFF"}}
	var found checks
	if cfg.checkHL7(&found); len(found.problems) != 0 {
		t.Fatal(found.problems)
	}
	log := slog.New(slog.DiscardHandler)
	h, err := build(t.Context(), cfg, log, options{autoCare: nobody, uncertified: true})
	if err != nil {
		t.Fatal(err)
	}
	auth, err := identity.NewStatic(map[string]record.Actor{identity.NewToken(): identity.DevActor(record.RoleAdmin)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- h.gateway(ctx, cfg, auth, new(api.Console), log, func() error { close(ready); return nil })
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("gateway = %v", err)
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal("the gateway did not begin")
	}
	patient, document := hospitalFor(t, h.vault)
	clinician := identity.DevActor(record.RoleClinician)
	clinician.Purpose = record.PurposeTreat
	reads := func() bool {
		_, err := h.vault.Open(t.Context(), clinician, vault.Ref{Document: document})
		return err == nil
	}
	for i, event := range []struct {
		kind  string
		reads bool
	}{{"ADT^A01", true}, {"ADT^A03", false}} {
		reply := tellHL7(t, cfg.HL7.Listen, strings.Join([]string{`MSH|^~\&|HIS|MAIN|VAULT||20260302120000||` + event.kind + "|" + string(rune('1'+i)) + "|P|2.5.1",
			"PID|1||" + patient + "^^^MRN", "PV1|1|I|||||" + clinician.ID + "^^^^^^^^STAFF" + strings.Repeat("|", 12) + "V1"}, "\r"))
		if !strings.Contains(reply, "MSA|AA") || reads() != event.reads {
			t.Errorf("%s: %q, the clinician reads: %t; want AA, %t", event.kind, reply, !event.reads, event.reads)
		}
	}
}

// hospitalFor enters dev's people and the sender, and stores a report.
func hospitalFor(t *testing.T, v *vault.Vault) (patientID string, document record.ObjectID) {
	t.Helper()
	if err := devRegister(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	inside := record.Actor{ID: "medvault", Role: record.RoleAdmin, Country: "CN", Purpose: record.PurposeSystem, Inside: true}
	his := vault.StaffPerson{Subject: "service:his", Kind: staff.Service, Roles: []record.Role{record.RoleInterface}, Institution: "dev"}
	if _, err := v.AddStaff(t.Context(), inside, his); err != nil {
		t.Fatal(err)
	}
	p := imagingtest.NewPatient(3)
	radiology := identity.DevActor(record.RoleRadiology)
	radiology.Purpose = record.PurposeTreat
	r, err := v.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Issuer: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	return p.ID, r.ID
}

func tellHL7(t *testing.T, address, message string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte("\x0b" + message + "\r\x1c\r")); err != nil {
		t.Fatal(err)
	}
	reply, err := bufio.NewReader(conn).ReadString(0x1C)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}
