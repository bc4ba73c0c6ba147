package catalog

import (
	"context"
	"fmt"
	"strings"

	"medvault/vault/record"
)

// Search asks for studies, series or instances.
type Search struct {
	Level         string // LevelStudy, LevelSeries or LevelInstance
	Study, Series string // mapped UIDs to stay within; "" is any
	// AllOf holds blind values: of every group at least one must be found on the
	// instance, or on its series, study or patient. An empty group finds nothing.
	AllOf        [][]string
	Caregiver    string                // only patients whom this clinician treats now; "" is all
	Emergency    bool                  // with Caregiver: those too for whom the clinician broke the glass
	Minors       bool                  // children with a guardian's consent too; with Caregiver those whose treatment needs the clinician
	Consented    record.Purpose        // only patients with a live permit for this very purpose; "" is all
	Patients     []record.PatientToken // nil is any; empty is none
	ReleasedOnly bool                  // only documents that are not held back
	Limit        int                   // 0 is no limit
	Offset       int
}

// Found is one study, series or instance.
type Found struct {
	Patient                 record.PatientToken
	Study, Series, Instance string            // as deep as the level
	Sample                  record.ObjectID   // one document under it
	Samples                 []record.ObjectID // at study level one of each series, else Sample alone
	SeriesCount             int               // under it, matching or not; ReleasedOnly counts released ones
	InstanceCount           int
}

// Search finds what may be seen and matches, ordered by study, series, instance and
// patient. Restrictions act before Limit and Offset; total is how many there are
// without these two. PDFs, which have no UIDs, and patients who are not active are
// not found here.
func (t *Tx) Search(ctx context.Context, s Search) (found []Found, total int, err error) {
	columns, err := s.columns()
	if err != nil {
		return nil, 0, err
	}
	if total, err = t.countFound(ctx, s, columns); err != nil || total <= s.Offset {
		return nil, total, attempt(err, "search: count")
	}
	b := t.page(s, columns)
	rows, err := t.query(ctx, b)
	if err != nil {
		return nil, 0, attempt(err, "search")
	}
	defer rows.Close()
	for rows.Next() {
		var f Found
		var series string
		if err := rows.Scan(&f.Patient, &f.Study, &f.Series, &f.Instance, &series, &f.Sample, &f.InstanceCount); err != nil {
			return nil, 0, attempt(err, "search")
		}
		f.SeriesCount, f.Samples = 1, []record.ObjectID{f.Sample}
		if n := len(found); n > 0 && s.Level == LevelStudy && found[n-1].Study == f.Study && found[n-1].Patient == f.Patient {
			last := &found[n-1] // a further series of the same study
			last.SeriesCount++
			last.InstanceCount += f.InstanceCount
			last.Samples = append(last.Samples, f.Sample)
			continue
		}
		found = append(found, f)
	}
	return found, total, attempt(rows.Err(), "search")
}

// columns are those of documents that make one result.
func (s Search) columns() ([]string, error) {
	all := []string{"patient", "study", "series", "instance"}
	switch s.Level {
	case LevelStudy:
		return all[:2], nil
	case LevelSeries:
		return all[:3], nil
	case LevelInstance:
		return all, nil
	}
	return nil, fmt.Errorf("search: no such level: %q", s.Level)
}

func (t *Tx) countFound(ctx context.Context, s Search, columns []string) (n int, err error) {
	var b builder
	s.beginHits(&b, columns, t.c)
	b.add(") SELECT COUNT(*) FROM hits")
	err = t.tx.QueryRowContext(ctx, b.text.String(), b.args...).Scan(&n)
	return n, err
}

// page is the query of one page of results, joined with every document under them
// to count and to pick samples: one row per result, at study level one per series.
func (t *Tx) page(s Search, columns []string) *builder {
	b := new(builder)
	order := strings.Join(append(append([]string{}, columns[1:]...), columns[0]), ", ")
	s.beginHits(b, columns, t.c)
	b.add(" ORDER BY "+order+" LIMIT ? OFFSET ?", limit32(s.Limit), s.Offset)
	b.add(") SELECT a.patient, a.study, ")
	series, instance := "''", "''"
	if len(columns) > 2 {
		series = "a.series"
	}
	if len(columns) > 3 {
		instance = "a.instance"
	}
	b.add(series + ", " + instance + ", a.series, MIN(a.id), COUNT(*) FROM hits h JOIN documents a ON ")
	for i, column := range columns {
		if i > 0 {
			b.add(" AND ")
		}
		b.add("a." + column + " = h." + column)
	}
	if s.ReleasedOnly {
		b.add(" WHERE a.held = ''")
	}
	group := "a.study, a.series, "
	if len(columns) > 3 {
		group += "a.instance, "
	}
	b.add(" GROUP BY " + group + "a.patient ORDER BY ")
	if s.Level == LevelStudy {
		b.add("a.study, a.patient, a.series") // a study's series together
	} else {
		b.add(group + "a.patient")
	}
	return b
}

// beginHits begins a query: it writes the tables group0, group1, … of what has a
// value of each group, and the table hits of all results up to its closing bracket.
// Looking a long group up for every document instead would take minutes.
func (s Search) beginHits(b *builder, columns []string, c *Catalog) {
	b.add("WITH ")
	for i, group := range s.AllOf {
		b.add(fmt.Sprintf("group%d AS MATERIALIZED (SELECT DISTINCT t.patient, t.owner FROM terms t WHERE t.value IN ", i))
		list(b, group)
		b.add("), ")
	}
	b.add("hits AS (SELECT DISTINCT " + qualified("d", columns) + " FROM documents d WHERE ")
	s.where(b, c)
}

// where writes the condition a document d must meet.
func (s Search) where(b *builder, c *Catalog) {
	b.add("d.study <> ''")
	switch s.Level {
	case LevelSeries:
		b.add(" AND d.series <> ''")
	case LevelInstance:
		b.add(" AND d.instance <> ''")
	}
	if s.Study != "" {
		b.add(" AND d.study = ?", s.Study)
	}
	if s.Series != "" {
		b.add(" AND d.series = ?", s.Series)
	}
	b.add(" AND d.patient NOT IN (SELECT p.token FROM patients p WHERE p.state <> 'active')")
	if s.ReleasedOnly {
		b.add(" AND d.held = ''")
	}
	if s.Patients != nil {
		b.add(" AND d.patient IN ")
		list(b, s.Patients)
	}
	if s.Caregiver != "" {
		now := millis(c.now())
		b.add(" AND (d.patient IN (SELECT e.patient FROM cares e WHERE e.clinician = ? AND e.from_at <= ?"+
			" AND (e.until_at = 0 OR e.until_at > ?) AND (e.ended_at = 0 OR e.ended_at > ?))", s.Caregiver, now, now, now)
		if s.Emergency {
			b.add(" OR d.patient IN (SELECT x.patient FROM breakglass x WHERE x.actor = ? AND x.opened_at <= ? AND x.until_at > ?)", s.Caregiver, now, now)
		}
		b.add(")")
	}
	s.whereOfAge(b, millis(c.now()))
	if s.Consented != "" {
		now := millis(c.now())
		b.add(" AND d.patient IN (SELECT e.patient FROM consents e WHERE e.purpose = ? AND e.decision = 'permit' AND e.from_at <= ?"+
			" AND (e.until_at = 0 OR e.until_at > ?) AND (e.ended_at = 0 OR e.ended_at > ?))", string(s.Consented), now, now, now)
	}
	for i := range s.AllOf {
		group := fmt.Sprintf(" IN (SELECT g.patient, g.owner FROM group%d g)", i)
		// The first condition leads to few patients by index, the others decide.
		b.add(fmt.Sprintf(" AND d.patient IN (SELECT g.patient FROM group%d g)", i))
		b.add(" AND ((d.patient, '')" + group + " OR (d.patient, d.study)" + group +
			" OR (d.patient, d.series)" + group + " OR (d.patient, d.id)" + group + ")")
	}
}

// whereOfAge leaves out children, so that not even their number is told: those whose
// guardian has not agreed, whoever asks.
func (s Search) whereOfAge(b *builder, now int64) {
	if !s.Minors {
		b.add(" AND d.patient NOT IN (SELECT m.patient FROM minors m)")
		return
	}
	b.add(" AND (d.patient NOT IN (SELECT m.patient FROM minors m) OR (d.patient IN (SELECT y.patient FROM consents y WHERE y.guardian <> ''"+
		" AND y.evidence <> '' AND y.decision = 'permit' AND y.country = '' AND y.recipient = '' AND y.purpose IN ('TREAT', '*')"+
		" AND y.from_at <= ? AND (y.until_at = 0 OR y.until_at > ?) AND (y.ended_at = 0 OR y.ended_at > ?))", now, now, now)
	if s.Caregiver != "" {
		b.add(" AND d.patient IN (SELECT z.patient FROM cares z WHERE z.clinician = ? AND z.essential = 1 AND z.from_at <= ?"+
			" AND (z.until_at = 0 OR z.until_at > ?) AND (z.ended_at = 0 OR z.ended_at > ?))", s.Caregiver, now, now, now)
	}
	b.add("))")
}

func qualified(table string, columns []string) string {
	return table + "." + strings.Join(columns, ", "+table+".")
}
