package vault_test

import (
	"testing"

	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// What somebody asks for who may know of it, and which is not there or does not let itself
// be done, leaves one leaf, with the reason: whoever tries ids leaves a trace.
func TestWhatIsAskedForInVainIsWrittenDown(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	there := put(t, h, ct(patient(), 1)).Patient
	const nobody, nothing = record.PatientToken("paaaaaaaaaaaaaaaaaaaaaaaaaa"), record.ObjectID("00000000000000000000000000000000")
	ctx := t.Context()
	own := vaulttest.Actor(record.RolePatient)
	own.Purpose = record.PurposePatient
	if _, err := h.AddGuardian(ctx, dpo, there, vault.NewGuardian{Subject: own.ID, Relation: "self"}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		what   string
		by     record.Actor
		action record.Action
		code   string
		ask    func(a record.Actor) error
	}{
		{"policy explained", dpo, record.ActionPolicyExplain, "absent", func(a record.Actor) error {
			_, err := h.Explain(ctx, a, vault.ExplainQuery{Actor: "x", Role: record.RoleClinician, Action: record.ActionRead, Document: nothing})
			return err
		}},
		{"access log", dpo, record.ActionAccessLog, "absent", func(a record.Actor) error {
			_, err := h.AccessLog(ctx, a, nobody, vault.AccessQuery{})
			return err
		}},
		{"member of the staff", admin, record.ActionStaffList, "absent", func(a record.Actor) error {
			_, err := h.StaffMember(ctx, a, "nobody")
			return err
		}},
		{"member of the staff changed", admin, record.ActionStaffManage, "absent", func(a record.Actor) error {
			_, err := h.ChangeStaff(ctx, a, "nobody", func(*vault.StaffPerson) error { return nil })
			return err
		}},
		{"emergency read", dpo, record.ActionBreakglassReview, "absent", func(a record.Actor) error {
			_, err := h.ReadBreakglass(ctx, a, nothing)
			return err
		}},
		{"emergency reviewed", dpo, record.ActionBreakglassReview, "absent", func(a record.Actor) error {
			return h.ReviewBreakglass(ctx, a, nothing, vault.BreakglassReview{Outcome: "justified"})
		}},
		{"revocation lifted", dpo, record.ActionReinstate, "absent", func(a record.Actor) error {
			return h.Reinstate(ctx, a, nothing)
		}},
		{"token revoked", admin, record.ActionTokenRevoke, "absent", func(a record.Actor) error {
			return h.RevokeAPIToken(ctx, a, nothing)
		}},
		{"consent withdrawn", dpo, record.ActionConsentWithdraw, "absent", func(a record.Actor) error {
			return h.WithdrawConsent(ctx, a, there, nothing)
		}},
		{"consent without its evidence", dpo, record.ActionConsentAdd, "evidence-unknown", func(a record.Actor) error {
			_, err := h.AddConsent(ctx, a, there, vault.NewConsent{Purpose: record.PurposeResearch, Evidence: nothing})
			return err
		}},
		{"guardian ended", dpo, record.ActionGuardianEnd, "absent", func(a record.Actor) error {
			return h.EndGuardian(ctx, a, there, nothing)
		}},
		{"guardian is oneself", dpo, record.ActionGuardianAdd, "own-entry", func(a record.Actor) error {
			_, err := h.AddGuardian(ctx, a, there, vault.NewGuardian{Subject: a.ID, Relation: "self"})
			return err
		}},
		{"care ended", dpo, record.ActionCareEnd, "absent", func(a record.Actor) error {
			return h.EndCare(ctx, a, there, nothing)
		}},
		{"re-derivation read", admin, record.ActionRederiveRead, "absent", func(a record.Actor) error {
			_, err := h.Rederivations(ctx, a, nothing)
			return err
		}},
		{"originals for an institution", own, record.ActionExport, "originals-by-package", func(a record.Actor) error {
			_, err := h.Export(ctx, a, vault.ExportRequest{Patient: there, Recipient: "University A"})
			return err
		}},
		{"quarantine", operator, record.ActionDiscard, "absent", func(a record.Actor) error {
			_, _, err := h.Discard(ctx, a, nothing)
			return err
		}},
	} {
		t.Run(row.what, func(t *testing.T) {
			before := len(reasons(t, h, row.action))
			err := row.ask(row.by)
			code := row.code
			if code == "absent" {
				code = "not-found"
			}
			wantRefusal(t, row.what, err, code)
			after := reasons(t, h, row.action)
			if len(after) != before+1 || after[0] != row.code {
				t.Errorf("denials of %s in the log: %d before, now %q; want one more, %q", row.action, before, after, row.code)
			}
		})
	}
}

// reasons are the refusals of an action, the newest first.
func reasons(t *testing.T, h *vaulttest.House, action record.Action) (list []string) {
	t.Helper()
	page, err := h.AuditQuery(t.Context(), dpo, vault.AuditQuery{Action: action, Decision: "deny"})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range page.Leaves {
		leaf, err := audit.ParseLeaf(l.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, leaf.Reason)
	}
	return list
}

// To whoever may not know of a patient, one who is there and one who is not are the same:
// the same answer, and the same in the log but for what was asked.
func TestAbsentAndForbiddenAreOne(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	there := put(t, h, ct(patient(), 1)).Patient
	stranger := vaulttest.Actor(record.RolePatient)
	stranger.Purpose = record.PurposePatient
	for _, a := range []record.Actor{clinician, stranger} {
		for what, ask := range map[string]func(p record.PatientToken) error{
			"care":     func(p record.PatientToken) error { _, err := h.ListCare(t.Context(), a, p); return err },
			"consents": func(p record.PatientToken) error { _, err := h.ListConsents(t.Context(), a, p); return err },
			"guardian": func(p record.PatientToken) error { _, err := h.Guardians(t.Context(), a, p); return err },
			"log": func(p record.PatientToken) error {
				_, err := h.AccessLog(t.Context(), a, p, vault.AccessQuery{})
				return err
			},
		} {
			first := leafCount(t, h)
			forbidden := ask(there)
			second := leafCount(t, h)
			absent := ask("paaaaaaaaaaaaaaaaaaaaaaaaaa")
			third := leafCount(t, h)
			if forbidden == nil || absent == nil || forbidden.Error() != absent.Error() {
				t.Errorf("%s by %s: forbidden %v, absent %v; want the same", what, a.Role, forbidden, absent)
			}
			if second-first != third-second || second == first {
				t.Errorf("%s by %s: %d leaves where forbidden, %d where absent; want as many, and some", what, a.Role, second-first, third-second)
			}
		}
	}
}

func leafCount(t *testing.T, h *vaulttest.House) int64 {
	t.Helper()
	// Every leaf has its number before the question is answered.
	page, err := h.AuditQuery(t.Context(), dpo, vault.AuditQuery{Limit: 1})
	if err != nil || len(page.Leaves) != 1 {
		t.Fatalf("AuditQuery = %d leaves, %v", len(page.Leaves), err)
	}
	return page.Leaves[0].Number
}
