// Package alarm tells people outside the vault that somebody has to look at something: by
// a webhook, by mail. An alarm names a case, an emergency or a region, never a patient.
package alarm

import (
	"context"
	"time"
)

// Kind of an alarm.
type Kind string

const (
	CaseOpened        Kind = "case-opened"
	CaseDueSoon       Kind = "case-due-soon"
	CaseOverdue       Kind = "case-overdue" // again every day
	BreakglassOpened  Kind = "break-glass-opened"
	BreakglassOverdue Kind = "break-glass-overdue"
	GuardianConsent   Kind = "guardian-consent-missing" // a child's documents lie in quarantine
	Certification     Kind = "certification-expired"    // of a region

	BreachDueSoon       Kind = "breach-due-soon" // not everybody was told of a breach
	BreachOverdue       Kind = "breach-overdue"  // again every day
	FindingOverdue      Kind = "finding-overdue"
	AccessReviewOverdue Kind = "access-review-overdue"
)

// Alarm is what is told. It holds no patient data and no patient token.
type Alarm struct {
	ID     string    `json:"id"`               // the same at every attempt: whoever gets it twice can tell
	Kind   Kind      `json:"kind"`             //
	About  string    `json:"about"`            // id of a case or record, or a region's name; "" where a list says it
	Detail string    `json:"detail,omitempty"` // a code: the type of a case, the clock that is due
	At     time.Time `json:"at"`               // when it was raised
	Due    time.Time `json:"due,omitzero"`     // until when somebody has to have done something
	Where  string    `json:"where,omitempty"`  // address at which to look
}

// Sender delivers alarms. Send returns nil only when the other side has taken it; it may be
// called again with the same alarm. Safe for concurrent use.
type Sender interface {
	Name() string // unique among the senders of a vault, and stable: jobs name it
	Send(ctx context.Context, a Alarm) error
}

// Subject is an alarm in a few words of English and Chinese.
func (a Alarm) Subject() string {
	line, known := subjects()[a.Kind]
	if !known {
		return string(a.Kind)
	}
	return line
}

func subjects() map[Kind]string {
	return map[Kind]string{
		CaseOpened:          "A request has come in / 收到新的请求",
		CaseDueSoon:         "A request is due soon / 请求即将到期",
		CaseOverdue:         "A request is overdue / 请求已逾期",
		BreakglassOpened:    "Somebody was let in in an emergency / 发生紧急查阅",
		BreakglassOverdue:   "An emergency has not been reviewed in time / 紧急查阅未按时复核",
		GuardianConsent:     "A guardian has to be asked / 需要征求监护人同意",
		BreachDueSoon:       "Patients or authorities must be told of a breach / 须尽快告知安全事件",
		BreachOverdue:       "Patients or authorities were not told of a breach in time / 未按时告知安全事件",
		FindingOverdue:      "A finding has not been mended in time / 安全问题未按时整改",
		AccessReviewOverdue: "The review of who has access is overdue / 权限复核已逾期",

		Certification: "The certification of a region has expired / 存储区域的认证已过期",
	}
}
