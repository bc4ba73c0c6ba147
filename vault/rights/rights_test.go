package rights_test

import (
	"testing"
	"time"

	"medvault/vault/rights"
)

func TestPromise5_7EveryKindHasTheClockThatWasPromised(t *testing.T) {
	want := map[rights.Kind]rights.Clock{
		"access": {Response: 7}, "correction": {Response: 7}, "deletion": {Response: 7, Execution: 15}, "restriction": {Response: 7},
		"portability": {Response: 7}, "access-log": {Response: 7}, "inquiry": {Response: 3}, "complaint": {Response: 3},
	}
	if len(rights.Kinds()) != len(want) {
		t.Errorf("Kinds = %v; want %d", rights.Kinds(), len(want))
	}
	for _, k := range rights.Kinds() {
		if got := k.Clock(); got != want[k] {
			t.Errorf("%s: %+v; want %+v", k, got, want[k])
		}
	}
	if rights.Kind("gift").Known() || rights.Kind("gift").NeedsPatient() || rights.Inquiry.NeedsPatient() || !rights.Deletion.NeedsPatient() {
		t.Error("kinds: what is known, or about a patient, is wrong")
	}
}

func TestACaseGoesOneWay(t *testing.T) {
	all := []rights.State{rights.Open, rights.InProgress, rights.Waiting, rights.Decided, rights.Executed, rights.Closed}
	allowed := map[string]bool{
		"open in-progress": true, "open waiting": true, "open decided": true,
		"in-progress open": true, "in-progress waiting": true, "in-progress decided": true,
		"waiting open": true, "waiting in-progress": true, "waiting decided": true,
		"executed closed": true,
	}
	for _, outcome := range []rights.Outcome{"", rights.Granted, rights.Partly, rights.Refused, rights.Answered, rights.Withdrawn} {
		for _, from := range all {
			for _, to := range all {
				want := allowed[string(from)+" "+string(to)]
				if from == rights.Decided {
					executes := outcome == rights.Granted || outcome == rights.Partly
					want = to == rights.Executed && executes || to == rights.Closed && !executes
				}
				if got := rights.May(from, to, outcome); got != want {
					t.Errorf("%s to %s (%s): %v; want %v", from, to, outcome, got, want)
				}
			}
		}
	}
}

func TestOutcomesSuitTheirKind(t *testing.T) {
	for _, k := range rights.Kinds() {
		asks := k != rights.Inquiry && k != rights.Complaint
		for o, want := range map[rights.Outcome]bool{rights.Granted: asks, rights.Partly: asks, rights.Answered: !asks,
			rights.Refused: true, rights.Withdrawn: true, "maybe": false, "": false} {
			if o.Suits(k) != want {
				t.Errorf("%s %s: %v; want %v", k, o, !want, want)
			}
		}
	}
}

func TestHowAClockStands(t *testing.T) {
	due := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	soon := due.AddDate(0, 0, -2)
	at := func(d time.Duration) *time.Time { t := due.Add(d); return &t }
	for _, row := range []struct {
		now  time.Time
		due  time.Time
		done *time.Time
		want rights.Standing
	}{
		{soon.Add(-1), due, nil, rights.OnTime},
		{soon, due, nil, rights.DueSoon},
		{due.Add(-1), due, nil, rights.DueSoon},
		{due, due, nil, rights.Overdue},
		{due.AddDate(1, 0, 0), due, at(-1), rights.Met},
		{due.AddDate(1, 0, 0), due, at(0), rights.Late},
		{due, time.Time{}, nil, rights.NoClock},
	} {
		if got := rights.Stand(row.now, soon, row.due, row.done); got != row.want {
			t.Errorf("Stand(%s, due %s, done %v) = %q; want %q", row.now, row.due, row.done, got, row.want)
		}
	}
}
