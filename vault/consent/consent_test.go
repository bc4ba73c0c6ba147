package consent_test

import (
	"testing"
	"time"

	"medvault/vault/consent"
	"medvault/vault/record"
)

var (
	now  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	past = now.Add(-time.Hour)
	soon = now.Add(time.Hour)
)

func said(d consent.Decision, purpose record.Purpose, country, recipient string) consent.Statement {
	return consent.Statement{Decision: d, Purpose: purpose, Country: country, Recipient: recipient, From: past, Reading: true}
}

func stored(s consent.Statement) consent.Statement { s.Reading = false; return s }

func ended(s consent.Statement, at time.Time) consent.Statement { s.Ended = &at; return s }

func until(s consent.Statement, at time.Time) consent.Statement { s.Until = &at; return s }

func from(s consent.Statement, at time.Time) consent.Statement { s.From = at; return s }

// Each row is what a patient has said, and the answers that follow: research at home,
// treatment at home refused, storage in SG, keys in SG, treatment read from SG, research
// read from SG, given to the clinic in SG for treatment.
func TestWhatAPatientHasAgreedTo(t *testing.T) {
	const treat, research = record.PurposeTreat, record.PurposeResearch
	permit, refuse, restrict := consent.Permit, consent.Refuse, consent.Restrict
	for _, row := range []struct {
		name string
		all  []consent.Statement
		want [7]bool
	}{
		{"nothing", nil, [7]bool{}},
		{"research", []consent.Statement{said(permit, research, "", "")}, [7]bool{0: true}},
		{"everything is not research", []consent.Statement{said(permit, consent.Any, "", "")}, [7]bool{}},
		{"research, withdrawn", []consent.Statement{ended(said(permit, research, "", ""), past)}, [7]bool{}},
		{"research, withdrawn now", []consent.Statement{ended(said(permit, research, "", ""), now)}, [7]bool{}},
		{"research, to be withdrawn", []consent.Statement{ended(said(permit, research, "", ""), soon)}, [7]bool{0: true}},
		{"research, over", []consent.Statement{until(said(permit, research, "", ""), now)}, [7]bool{}},
		{"research, not yet", []consent.Statement{from(said(permit, research, "", ""), soon)}, [7]bool{}},
		{"research by another institution", []consent.Statement{said(permit, research, "", "clinic")}, [7]bool{}},
		{"research, and refused", []consent.Statement{said(permit, research, "", ""), said(refuse, research, "", "")}, [7]bool{}},
		{"research, all restricted", []consent.Statement{said(permit, research, "", ""), said(restrict, consent.Any, "", "")}, [7]bool{1: true}},
		{"research, treatment restricted", []consent.Statement{said(permit, research, "", ""), said(restrict, treat, "", "")}, [7]bool{0: true, 1: true}},
		{"research abroad is not at home", []consent.Statement{said(permit, research, "SG", "")}, [7]bool{5: true}},
		{"abroad", []consent.Statement{said(permit, treat, "SG", "")}, [7]bool{2: true, 3: true, 4: true}},
		{"abroad for everything", []consent.Statement{said(permit, consent.Any, "SG", "")}, [7]bool{2: true, 3: true, 4: true}},
		{"abroad, storage alone", []consent.Statement{stored(said(permit, treat, "SG", ""))}, [7]bool{2: true}},
		{"abroad, for quality alone", []consent.Statement{said(permit, record.PurposeQuality, "SG", "")}, [7]bool{}},
		{"elsewhere", []consent.Statement{said(permit, treat, "DE", "")}, [7]bool{}},
		{"abroad, to a clinic", []consent.Statement{said(permit, treat, "SG", "clinic")}, [7]bool{4: true, 6: true}},
		{"abroad, to another", []consent.Statement{said(permit, treat, "SG", "other")}, [7]bool{}},
		{"abroad, withdrawn", []consent.Statement{ended(said(permit, treat, "SG", ""), past)}, [7]bool{}},
		{"abroad, refused there", []consent.Statement{said(permit, treat, "SG", ""), said(refuse, treat, "SG", "")}, [7]bool{}},
		{"abroad, refused elsewhere", []consent.Statement{said(permit, treat, "SG", ""), said(refuse, treat, "DE", "")}, [7]bool{2: true, 3: true, 4: true}},
		{"abroad, all restricted", []consent.Statement{said(permit, treat, "SG", ""), said(restrict, consent.Any, "", "")}, [7]bool{1: true}},
		{"abroad, the clinic refused", []consent.Statement{said(permit, treat, "SG", ""), said(refuse, treat, "", "clinic")}, [7]bool{1: true, 2: true, 3: true}},
		{"treatment refused", []consent.Statement{said(refuse, treat, "", "")}, [7]bool{1: true}},
	} {
		clinic := consent.Use{Purpose: treat, Recipient: "clinic", Country: "SG"}
		got := [7]bool{
			consent.Research(row.all, consent.Use{Recipient: "hospital"}, now),
			consent.Refused(row.all, consent.Use{Purpose: treat, Recipient: "clinic"}, now),
			consent.Stored(row.all, "SG", now),
			consent.Opened(row.all, "SG", now),
			consent.Abroad(row.all, clinic, now),
			consent.Research(row.all, consent.Use{Recipient: "clinic", Country: "SG"}, now),
			consent.Given(row.all, clinic, now),
		}
		if got != row.want {
			t.Errorf("%s: %v; want %v", row.name, got, row.want)
		}
	}
}

func TestPurposesStandInTheirHierarchy(t *testing.T) {
	for _, row := range []struct {
		said, asked record.Purpose
		refused     bool
	}{
		{record.PurposeTreat, record.PurposeETreat, true},
		{record.PurposeETreat, record.PurposeTreat, false},
		{record.PurposeOperate, record.PurposeQuality, true},
		{record.PurposeQuality, record.PurposeOperate, false},
		{consent.Any, record.PurposeTreat, true},
		{consent.Any, record.PurposeResearch, true},
		{consent.Any, record.PurposePatient, false},
		{consent.Any, record.PurposeCompl, false},
	} {
		all := []consent.Statement{said(consent.Restrict, row.said, "", "")}
		if got := consent.Refused(all, consent.Use{Purpose: row.asked}, now); got != row.refused {
			t.Errorf("%s restricted: %s refused = %v; want %v", row.said, row.asked, got, row.refused)
		}
	}
}

func TestTheLawWantsItInWriting(t *testing.T) {
	for _, row := range []struct {
		s    consent.Statement
		want bool
	}{
		{said(consent.Permit, record.PurposeTreat, "", ""), false},
		{said(consent.Permit, record.PurposeTreat, "SG", ""), true},
		{said(consent.Permit, record.PurposeResearch, "", ""), true},
		{said(consent.Permit, consent.Any, "", ""), true},
		{said(consent.Refuse, record.PurposeResearch, "", ""), false},
		{said(consent.Restrict, consent.Any, "SG", ""), false},
	} {
		if got := row.s.NeedsEvidence(); got != row.want {
			t.Errorf("%s %s %q needs evidence = %v; want %v", row.s.Decision, row.s.Purpose, row.s.Country, got, row.want)
		}
	}
}
