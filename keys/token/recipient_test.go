package token_test

import (
	"regexp"
	"testing"

	"medvault/keys"
	"medvault/keys/token"
)

func recipient(t *testing.T, key keys.DEK, name, purpose string) *token.Recipient {
	t.Helper()
	r, err := newTokens(t, key, indexKey).Recipient(name, purpose)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecipientsShareNoPseudonym(t *testing.T) {
	tokens := newTokens(t, tokenKey, indexKey)
	patient, uid, id := tokens.Patient("H", "1"), tokens.UID("1.2.3"), tokens.ID("AccessionNumber", "A1", 16)
	seen := map[string]string{patient: "the vault", uid: "the vault", id: "the vault"}
	rows := []struct {
		key           keys.DEK
		name, purpose string
	}{
		{tokenKey, "University", "HRESCH"},
		{tokenKey, "university", "HRESCH"},
		{tokenKey, "University", "HQUALIMP"},
		{tokenKey, "UniversityHRESCH", ""},
		{tokenKey, "UniversityH", "RESCH"},
		{keys.DEKFrom([32]byte{3}), "University", "HRESCH"},
	}
	for _, row := range rows {
		r := recipient(t, row.key, row.name, row.purpose)
		for _, form := range []struct{ got, want string }{
			{r.Patient(patient), `^r[a-z2-7]{26}$`},
			{r.UID(uid), `^2\.25\.(0|[1-9][0-9]{0,38})$`},
			{r.ID("AccessionNumber", id, 16), `^[A-Z2-7]{16}$`},
		} {
			if !regexp.MustCompile(form.want).MatchString(form.got) {
				t.Errorf("%s is not of the form %s", form.got, form.want)
			}
			if other := seen[form.got]; other != "" {
				t.Errorf("%s/%s and %s share %s", row.name, row.purpose, other, form.got)
			}
			seen[form.got] = row.name + "/" + row.purpose
		}
		again := recipient(t, row.key, " "+row.name+" ", row.purpose)
		if again.Patient(patient) != r.Patient(patient) || again.UID(uid) != r.UID(uid+" ") || again.ID("x", id, 26) != r.ID("x", id, 26) {
			t.Errorf("%s/%s: the same recipient gets other pseudonyms", row.name, row.purpose)
		}
	}
	if _, err := tokens.Recipient(" ", "HRESCH"); err == nil {
		t.Error("a recipient without a name got pseudonyms")
	}
	if got := recipient(t, tokenKey, "x", "y").ID("x", "", 16); got != "" {
		t.Errorf("no id became %q", got)
	}
}
