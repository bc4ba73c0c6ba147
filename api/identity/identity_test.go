package identity_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/vault/record"
)

func TestStaticTokens(t *testing.T) {
	tokens := map[string]record.Actor{}
	byRole := map[record.Role]string{}
	for _, r := range record.Roles() {
		byRole[r] = identity.NewToken()
		tokens[byRole[r]] = identity.DevActor(r)
	}
	if len(tokens) != len(record.Roles()) {
		t.Fatal("two tokens are equal")
	}
	s, err := identity.NewStatic(tokens)
	if err != nil {
		t.Fatal(err)
	}
	for r, token := range byRole {
		a, err := s.Authenticate(context.Background(), token)
		if err != nil || a.Role != r || a.ID == "" || a.Country != "CN" || !strings.HasPrefix(a.Credentials, "static:") {
			t.Errorf("token of %s: %+v, %v", r, a, err)
		}
		for _, wrong := range []string{"", token[1:], token + "x", strings.ToUpper(token)} {
			if a, err := s.Authenticate(context.Background(), wrong); !errors.Is(err, record.ErrUnauthenticated) || a != (record.Actor{}) {
				t.Errorf("wrong token: %+v, %v; want no identity", a, err)
			}
		}
	}
	var none identity.Static
	if a, err := none.Authenticate(context.Background(), ""); err == nil {
		t.Errorf("the zero Static knows %+v", a)
	}
	long := identity.NewToken()
	for name, bad := range map[string]map[string]record.Actor{
		"short token": {"secret": identity.DevActor("clinician")},
		"no role":     {long: {ID: "x"}},
		"no id":       {long: {Role: "clinician"}},
		"shared id":   {long: identity.DevActor("clinician"), identity.NewToken(): identity.DevActor("clinician")},
	} {
		if _, err := identity.NewStatic(bad); err == nil || strings.Contains(err.Error(), long) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: NewStatic = %v; want an error without the token", name, err)
		}
	}
}

// fixed believes one token and claims a purpose with it.
type fixed record.Actor

func (f fixed) Authenticate(_ context.Context, token string) (record.Actor, error) {
	if token != "tok" {
		return record.Actor{}, record.ErrUnauthenticated
	}
	return record.Actor(f), nil
}

func TestFromRequest(t *testing.T) {
	for _, row := range []struct {
		name    string
		auth    []string
		purpose []string
		claimed record.Purpose
		want    record.Purpose
		status  int
	}{
		{"the role's own purpose", []string{"Bearer tok"}, nil, "", "TREAT", 200},
		{"scheme in any case", []string{"bearer tok"}, nil, "", "TREAT", 200},
		{"header chooses", []string{"Bearer tok"}, []string{"HQUALIMP"}, "", "HQUALIMP", 200},
		{"known, though nobody may", []string{"Bearer tok"}, []string{"HMARKT"}, "", "HMARKT", 200},
		{"token claims", []string{"Bearer tok"}, nil, "ETREAT", "ETREAT", 200},
		{"header repeats the claim", []string{"Bearer tok"}, []string{"ETREAT"}, "ETREAT", "ETREAT", 200},
		{"header contradicts the claim", []string{"Bearer tok"}, []string{"TREAT"}, "HQUALIMP", "", 403},
		{"unknown purpose", []string{"Bearer tok"}, []string{"FUN"}, "", "", 400},
		{"small letters", []string{"Bearer tok"}, []string{"treat"}, "", "", 400},
		{"empty purpose", []string{"Bearer tok"}, []string{""}, "", "", 400},
		{"two purposes", []string{"Bearer tok"}, []string{"TREAT", "HQUALIMP"}, "", "", 400},
		{"no header", nil, nil, "", "", 401},
		{"basic", []string{"Basic dXNlcjpwdw=="}, nil, "", "", 401},
		{"no token", []string{"Bearer "}, nil, "", "", 401},
		{"two headers", []string{"Bearer tok", "Bearer tok"}, nil, "", "", 401},
		{"wrong token", []string{"Bearer other"}, nil, "", "", 401},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for _, v := range row.auth {
			r.Header.Add("Authorization", v)
		}
		for _, v := range row.purpose {
			r.Header.Add(identity.PurposeHeader, v)
		}
		a, err := identity.FromRequest(r, fixed{ID: "u", Role: record.RoleClinician, Purpose: row.claimed, Credentials: "jti:1"}, nil)
		status := 200
		if err != nil {
			status = answer.Status(err)
		}
		if status != row.status || a.Purpose != row.want {
			t.Errorf("%s: purpose %q, %v; want %q, %d", row.name, a.Purpose, err, row.want, row.status)
		}
		refused := record.Actor{}
		if row.status != 401 {
			refused.ID, refused.Credentials = "u", "jti:1"
		}
		if err != nil && a != refused {
			t.Errorf("%s: refused, and yet %+v; want %+v", row.name, a, refused)
		}
	}
}
