// Package breach holds the rules of what follows a breach: within what time people must be
// told, and what they, and the authorities, are told. It is pure: the time is passed in,
// and nobody is told anything here.
package breach

import "time"

// Within is how long patients and authorities may wait, from discovery.
const Within = 72 * time.Hour

// SoonBefore is how long before that somebody is reminded.
const SoonBefore = 24 * time.Hour

// Standing of the clock.
type Standing string

const (
	Running Standing = "running"
	DueSoon Standing = "due-soon"
	Overdue Standing = "overdue"
	Met     Standing = "met"  // everybody was told in time
	Late    Standing = "late" // everybody was told, but not in time
)

// Clock is how the promised time stands.
type Clock struct {
	Discovered time.Time `json:"discovered"`
	Due        time.Time `json:"due"` // the first moment that is too late
	Standing   Standing  `json:"standing"`
}

// Stand tells the clock of a breach at a time; told is when the last one who had to be
// told was, nil: not yet.
func Stand(discovered, now time.Time, told *time.Time) Clock {
	c := Clock{Discovered: discovered.UTC(), Due: discovered.Add(Within).UTC()}
	switch {
	case told != nil && told.Before(c.Due):
		c.Standing = Met
	case told != nil:
		c.Standing = Late
	case !now.Before(c.Due):
		c.Standing = Overdue
	case !now.Before(c.Due.Add(-SoonBefore)):
		c.Standing = DueSoon
	default:
		c.Standing = Running
	}
	return c
}

// Contact is whom patients and authorities reach.
type Contact struct {
	Name    string `json:"name,omitempty"`
	Email   string `json:"email"`
	Phone   string `json:"phone"`
	Address string `json:"address"`
}

// Facts are what is known of a breach.
type Facts struct {
	Incident   string           `json:"incident"`
	Drill      bool             `json:"drill"` // nothing has happened, and nobody is told
	What       string           `json:"what"`  // in the officer's words
	Discovered time.Time        `json:"discovered"`
	Due        time.Time        `json:"due"`
	First      *time.Time       `json:"firstAct,omitempty"` // of the acts found
	Last       *time.Time       `json:"lastAct,omitempty"`
	Patients   int              `json:"patients"` // how many are affected
	Told       int              `json:"patientsTold"`
	Acts       map[string]int64 `json:"acts"`       // by action, as the log names them
	Categories map[string]int64 `json:"categories"` // documents of those affected, by category: at most what was seen
	Done       []Measure        `json:"done"`       // to contain it
	Officer    Contact          `json:"officer"`
	At         time.Time        `json:"at"` // of this account
	By         string           `json:"by"`
}

// Measure is something that was done to contain a breach.
type Measure struct {
	Did    string    `json:"did"`    // a code, as "revoke-person"
	Target string    `json:"target"` // to whom or what
	At     time.Time `json:"at"`
	By     string    `json:"by"`
}
