package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"medvault/vault/alarm"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/rights"
)

// AlarmConfig says how people outside are told that somebody has to look at something.
type AlarmConfig struct {
	Senders []alarm.Sender // default none: alarms are in the log and in the lists alone
	Where   string         // address at which to look, that goes with every alarm
	Every   time.Duration  // how often it is looked what is due; default 1 min
}

const jobAlarm = "alarm" // an alarm to one sender

// Actions of the vault's own leaves about alarms. The reason is the alarm's kind, the
// origin of what was sent by what.
const (
	ActionAlarmRaised record.Action = "alarm.raised"
	ActionAlarmSent   record.Action = "alarm.sent"
)

type alarmPayload struct {
	Sender string      `json:"sender"`
	Alarm  alarm.Alarm `json:"alarm"`
}

// raise has an alarm sent by every sender, by jobs that outlive this gateway, with this
// transaction. The same alarm is raised once, and once for every value of again.
func (v *Vault) raise(ctx context.Context, tx *catalog.Tx, a alarm.Alarm, again string) error {
	a.At, a.Where = v.cfg.Now().UTC().Truncate(time.Millisecond), v.cfg.Alarms.Where
	key := fmt.Sprintf("%s %s %s %s", a.Kind, a.About, a.Detail, again)
	first, err := tx.NoteAlarm(ctx, key, string(a.Kind), a.About, a.At)
	if err != nil || !first {
		return err
	}
	a.ID = string(record.NewObjectID())
	leaf := v.ownLeaf(ActionAlarmRaised, a.ID)
	leaf.Reason, leaf.Object = string(a.Kind), alarmed(a)
	if err := appendLeaf(ctx, tx, leaf); err != nil {
		return err
	}
	for _, s := range v.cfg.Alarms.Senders {
		if err := tx.Enqueue(ctx, newJob(jobAlarm, a.ID+"@"+s.Name(), alarmPayload{s.Name(), a}, a.At)); err != nil {
			return err
		}
	}
	return nil
}

// alarmed is what an alarm is about, where that has an id.
func alarmed(a alarm.Alarm) record.ObjectID {
	id, err := record.ParseObjectID(a.About)
	if err != nil {
		return ""
	}
	return id
}

// sendAlarm gives an alarm to its sender. One that is configured no more gets nothing.
func (v *Vault) sendAlarm(ctx context.Context, job catalog.Job, owner string) error {
	var p alarmPayload
	if err := json.Unmarshal(job.Payload, &p); err != nil {
		return err
	}
	i := slices.IndexFunc(v.cfg.Alarms.Senders, func(s alarm.Sender) bool { return s.Name() == p.Sender })
	if i < 0 {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	if err := v.cfg.Alarms.Senders[i].Send(ctx, p.Alarm); err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		leaf := v.ownLeaf(ActionAlarmSent, p.Alarm.ID+"@"+p.Sender)
		leaf.Reason, leaf.Object = string(p.Alarm.Kind), alarmed(p.Alarm)
		return appendLeaf(ctx, tx, leaf)
	})
}

// watchClocks raises the alarms of what is due, until ctx ends.
func (v *Vault) watchClocks(ctx context.Context) {
	for {
		if err := v.remind(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("look what is due", "err", err)
		}
		if wait(ctx, v.cfg.Alarms.Every); ctx.Err() != nil {
			return
		}
	}
}

// due is an alarm that time alone raises.
type due struct {
	alarm.Alarm
	again string
}

// remind raises an alarm for every clock that is due soon, once, and for every one that
// is over, every day.
func (v *Vault) remind(ctx context.Context) error {
	today := v.cfg.Now().In(v.cfg.Calendar.Zone()).Format(time.DateOnly)
	var all []due
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if all, err = v.dueCases(ctx, tx, today); err != nil {
			return err
		}
		more, err := v.dueDossiers(ctx, tx, today)
		if err != nil {
			return err
		}
		all = append(all, more...)
		waiting, err := tx.Breakglasses(ctx, true, "", maxResults)
		for _, g := range waiting {
			if !v.cfg.Now().Before(g.ReviewBy) {
				all = append(all, due{alarm.Alarm{Kind: alarm.BreakglassOverdue, About: string(g.ID), Due: g.ReviewBy.UTC()}, today})
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range v.cfg.Regions.Regions() {
		if v.expired(r.Name) {
			expires := v.cfg.Terms[r.Name].Certification.Expires.UTC()
			all = append(all, due{alarm.Alarm{Kind: alarm.Certification, About: r.Name, Due: expires}, expires.Format(time.DateOnly)})
		}
	}
	if len(all) == 0 {
		return nil
	}
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		for _, d := range all {
			if err := v.raise(ctx, tx, d.Alarm, d.again); err != nil {
				return err
			}
		}
		return nil
	})
}

func (v *Vault) dueCases(ctx context.Context, tx *catalog.Tx, today string) (all []due, err error) {
	for after := record.ObjectID(""); ; {
		page, err := tx.Cases(ctx, catalog.CaseFilter{After: after, Limit: maxResults})
		if err != nil || len(page) == 0 {
			return all, err
		}
		after = page[len(page)-1].ID
		for _, row := range page {
			c := v.listedCase(row)
			for detail, clock := range map[string]*CaseClock{"response": c.Response, "execution": c.Execution} {
				if clock == nil {
					continue
				}
				a := alarm.Alarm{About: string(c.ID), Detail: detail, Due: clock.Due}
				switch clock.Standing {
				case rights.DueSoon:
					a.Kind = alarm.CaseDueSoon
					all = append(all, due{a, ""})
				case rights.Overdue:
					a.Kind = alarm.CaseOverdue
					all = append(all, due{a, today})
				}
			}
		}
	}
}

// Officer is whom patients and authorities reach.
type Officer struct {
	Name    string `json:"name,omitempty"`
	Email   string `json:"email"`
	Phone   string `json:"phone"`
	Address string `json:"address"`
}

// Officer is the data protection officer of this vault, for everybody to know.
func (v *Vault) Officer() Officer { return v.cfg.Officer }

// ActionData is in the leaves that say by which version of which data the vault counts and
// decides; the origin names it.
const ActionData record.Action = "data.version"

// dataVersions are the tables of law that this vault was started with.
func (v *Vault) dataVersions() []string {
	return []string{"workdays " + v.cfg.Calendar.Version(), "retention " + v.cfg.Retention.Version}
}

// dataLeaves say at a gateway's start which versions of the data of law it has.
func (v *Vault) dataLeaves() (leaves []audit.Leaf) {
	for _, version := range v.dataVersions() {
		leaves = append(leaves, v.ownLeaf(ActionData, version))
	}
	return leaves
}
