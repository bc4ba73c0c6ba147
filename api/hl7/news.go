package hl7

import (
	"time"

	"medvault/vault"
	"medvault/vault/record"
)

// Roles in the care, as relationships carry them; a ROL segment brings its own code.
const (
	roleAttending  = "attending"
	roleReferring  = "referring"
	roleConsulting = "consulting"
	roleAdmitting  = "admitting"
	roleOrdering   = "ordering"
)

// doctors are the fields of PV1 that name who treats (XCN).
var doctors = [...]struct {
	field int
	role  string
}{{7, roleAttending}, {8, roleReferring}, {9, roleConsulting}, {17, roleAdmitting}}

// told is what a message says, before it is known of whom: what is not told there is
// counted in strangers, without their names.
type told struct {
	visits    []vault.VisitCare
	strangers int // identifiers of no configured authority, or none at all
}

// news reads what an ADT, ORM or OMI message says of who treats the patient. Nothing is
// said by what is not here: nil, and a refusal of the table of HL7 0357.
func (s *Server) news(m *message, from *Sender, now time.Time) (told, error) {
	head := m.first("MSH")
	kind := head.repetitions(9)[0]
	switch event := head.part(kind, 2, 1); head.part(kind, 1, 1) {
	case "ADT":
		return s.visit(m, from, event, now)
	case "ORM", "OMI":
		return s.orders(m, from, now), nil
	}
	return told{}, refuse("unsupported-message-type", "200", true)
}

// visit reads an ADT message. Fields that are empty say nothing; `""` says nobody.
func (s *Server) visit(m *message, from *Sender, event string, now time.Time) (told, error) {
	pv1 := m.first("PV1")
	v := vault.VisitCare{Visit: visitNumber(m)}
	var t told
	switch event {
	case "A01", "A02", "A04", "A05", "A08", "A13":
		begin, ok := when(pv1.value(44), s.cfg.Zone)
		if !ok || begin.After(now) && event != "A05" { // the patient is here
			begin = now
		}
		until := begin.Add(s.cfg.Longest)
		if !until.After(now) {
			until = now.Add(s.cfg.Longest)
		}
		for _, d := range doctors {
			if pv1.field(d.field) == "" {
				continue
			}
			v.Complete = append(v.Complete, d.role)
			if !pv1.deleted(d.field) {
				t.state(&v, from, pv1, d.field, vault.NewCare{Role: d.role, From: begin, Until: until})
			}
		}
		t.roles(&v, from, m, vault.NewCare{From: begin, Until: until})
	case "A03":
		over := now
		if left, ok := when(pv1.value(45), s.cfg.Zone); ok && left.Before(now) {
			over = left
		}
		over = over.Add(s.cfg.Grace)
		v.EndAll = &over
	case "A11":
		v.EndAll = &now
	default:
		return t, refuse("unsupported-event", "201", true)
	}
	t.visits = append(t.visits, v)
	return t, nil
}

// visitNumber is PV1-19, or else the account, PID-18; "" is the one visit of senders who
// number none.
func visitNumber(m *message) string {
	pv1, pid := m.first("PV1"), m.first("PID")
	if n := pv1.value(19); n != "" {
		return "visit " + n
	}
	if n := pid.value(18); n != "" {
		return "account " + n
	}
	return ""
}

// state adds those whom a field of XCN names.
func (t *told) state(v *vault.VisitCare, from *Sender, s segment, field int, as vault.NewCare) {
	for _, one := range s.repetitions(field) {
		if one == "" {
			continue
		}
		if as.Clinician = from.clinician(s, one); as.Clinician == "" {
			t.strangers++
			continue
		}
		v.State = append(v.State, as)
	}
}

// roles reads ROL segments: action (ROL-2) AD, UP or CO states, DE ends.
func (t *told) roles(v *vault.VisitCare, from *Sender, m *message, as vault.NewCare) {
	for _, s := range m.segments {
		if s.name != "ROL" {
			continue
		}
		if as.Role = s.value(3); s.value(2) != "DE" {
			t.state(v, from, s, 4, as)
			continue
		}
		for _, one := range s.repetitions(4) {
			if who := from.clinician(s, one); who != "" {
				v.Ended = append(v.Ended, vault.CareParty{Clinician: who, Role: as.Role})
			}
		}
	}
}

// orders reads the orders of an ORM or OMI message: each ORC with what follows it.
func (s *Server) orders(m *message, from *Sender, now time.Time) (t told) {
	var v *vault.VisitCare
	as := vault.NewCare{Role: roleOrdering, From: now, Until: now.Add(s.cfg.Order)}
	for _, line := range m.segments {
		switch line.name {
		case "ORC":
			t.visits = append(t.visits, vault.VisitCare{})
			v = &t.visits[len(t.visits)-1]
			if n := line.value(2); n != "" {
				v.Visit = "placer " + n
			} else if n := line.value(3); n != "" {
				v.Visit = "filler " + n
			}
			switch line.value(1) {
			case "CA", "DC", "OC", "OD", "CR", "DR":
				v.EndAll = &now
			case "NW", "SN", "XO", "XX", "RO", "OK":
				t.state(v, from, line, 12, as)
			default: // a status, a hold: who treats stays
				v = nil
			}
		case "OBR":
			if v != nil && v.EndAll == nil {
				t.state(v, from, line, 16, as)
			}
		}
	}
	return t
}

// patients are whom PID-3 may name, in its order: Issuer of Patient ID and Patient ID. An
// assigning authority that the sender's configuration does not know names nobody.
func (s *Sender) patients(m *message, own string) (list [][2]string) {
	pid := m.first("PID")
	for _, one := range pid.repetitions(3) {
		id, authority := pid.part(one, 1, 1), pid.part(one, 4, 1)
		issuer, known := s.Issuers[authority]
		if authority == "" && !known {
			issuer, known = own, true
		}
		if id != "" && id != `""` && known && len(list) < maxPatients {
			list = append(list, [2]string{issuer, id})
		}
	}
	return list
}

// maxPatients bounds the identifiers of PID-3 that are looked for.
const maxPatients = 8

// clinician is the subject that an XCN names, or "": of the configured ones, or of the
// staff's own authority. A name names nobody.
func (s *Sender) clinician(in segment, xcn string) string {
	id, authority := in.part(xcn, 1, 1), in.part(xcn, 9, 1)
	if id == "" || id == `""` {
		return ""
	}
	if authority != "" {
		if subject := s.Clinicians[id+"@"+authority]; subject != "" {
			return subject
		}
	} else if subject := s.Clinicians[id]; subject != "" {
		return subject
	}
	if s.StaffAuthority != "" && authority == s.StaffAuthority {
		return id
	}
	return ""
}

// refusal is why a message is not acted upon: a code of ours and one of HL7 table 0357.
type refusal struct {
	code, hl7 string
	rejected  bool // AR: sending it again is of no use; else AE
}

func (r *refusal) Error() string { return r.code }

func refuse(code, hl7 string, rejected bool) *refusal { return &refusal{code, hl7, rejected} }

var noPatient = record.Refuse(record.ErrInvalid, "no-patient", "PID-3 holds no identifier of a known assigning authority")
