// Package rights holds what a request about personal information becomes: its kinds, how
// long an answer may take, through which states it goes. It is pure: deadlines are counted
// elsewhere (vault/workday), and the time is passed in.
package rights

import (
	"slices"
	"time"
)

// Kind is what somebody asks for.
type Kind string

const (
	Access      Kind = "access"      // a copy of everything that is held
	Correction  Kind = "correction"  // of what is wrong
	Deletion    Kind = "deletion"    // of everything, within what the law has kept
	Restriction Kind = "restriction" // to storage and legal claims
	Portability Kind = "portability" // to another institution
	AccessLog   Kind = "access-log"  // who had access
	Inquiry     Kind = "inquiry"     // a question
	Complaint   Kind = "complaint"
)

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{Access, Correction, Deletion, Restriction, Portability, AccessLog, Inquiry, Complaint}
}

// Known says whether k is one of them.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// NeedsPatient says whether a request can only be about one patient.
func (k Kind) NeedsPatient() bool { return k.Known() && k != Inquiry && k != Complaint }

// Clock is how many working days something may take, from when the request arrived.
type Clock struct {
	Response  int // until it is decided
	Execution int // until what was granted has been done; 0: no promise of its own
}

// Clock is what was promised for a kind: an answer within seven working days, to inquiries
// and complaints within three, and a deletion done within fifteen.
func (k Kind) Clock() Clock {
	switch k {
	case Inquiry, Complaint:
		return Clock{Response: 3}
	case Deletion:
		return Clock{Response: 7, Execution: 15}
	}
	return Clock{Response: 7}
}

// State of a case.
type State string

const (
	Open       State = "open"        // nobody works on it
	InProgress State = "in-progress" // somebody does
	Waiting    State = "waiting"     // for the requester: to prove who they are, to say what they mean. The clock runs on
	Decided    State = "decided"
	Executed   State = "executed" // what was granted has been done
	Closed     State = "closed"
)

// Known says whether s is a state.
func (s State) Known() bool {
	return slices.Contains([]State{Open, InProgress, Waiting, Decided, Executed, Closed}, s)
}

// Outcome is how a case was decided.
type Outcome string

const (
	Granted   Outcome = "granted"
	Partly    Outcome = "partly-granted"
	Refused   Outcome = "refused"
	Answered  Outcome = "answered"  // of inquiries and complaints
	Withdrawn Outcome = "withdrawn" // by the requester
)

// Suits says whether a case of that kind can be decided so.
func (o Outcome) Suits(k Kind) bool {
	switch o {
	case Withdrawn, Refused:
		return true
	case Answered:
		return k == Inquiry || k == Complaint
	case Granted, Partly:
		return k.NeedsPatient()
	}
	return false
}

// Executes says whether something has to be done once it was decided so.
func (o Outcome) Executes() bool { return o == Granted || o == Partly }

// Next lists the states that a case may go to. A decision stands: what comes after it is
// another case.
func Next(from State, decided Outcome) []State {
	switch from {
	case Open, InProgress, Waiting:
		return slices.DeleteFunc([]State{Open, InProgress, Waiting, Decided}, func(s State) bool { return s == from })
	case Decided:
		if decided.Executes() {
			return []State{Executed}
		}
		return []State{Closed}
	case Executed:
		return []State{Closed}
	}
	return nil
}

// May says whether a case may go from one state to another.
func May(from, to State, decided Outcome) bool { return slices.Contains(Next(from, decided), to) }

// Standing is how a clock stands.
type Standing string

const (
	OnTime  Standing = "on-time"
	DueSoon Standing = "due-soon"
	Overdue Standing = "overdue"
	Met     Standing = "met"  // done in time
	Late    Standing = "late" // done, too late
	NoClock Standing = ""
)

// SoonDays is how many working days before its end a clock is due soon.
const SoonDays = 2

// Stand says how a clock stands that ends at due, is due soon from soon on, and was
// stopped when something was done (nil: not yet).
func Stand(now, soon, due time.Time, done *time.Time) Standing {
	switch {
	case due.IsZero():
		return NoClock
	case done != nil && done.Before(due):
		return Met
	case done != nil:
		return Late
	case !now.Before(due):
		return Overdue
	case !now.Before(soon):
		return DueSoon
	}
	return OnTime
}
