package catalog

import (
	"context"

	"medvault/vault/record"
)

// RecordsOf lists the records of one type about a patient, in the order in which they were
// made.
func (t *Tx) RecordsOf(ctx context.Context, patient record.PatientToken, recordType string) ([]Object, error) {
	var b builder
	b.add("SELECT id FROM objects WHERE patient = ? AND record_type = ? ORDER BY created_at, id", string(patient), recordType)
	ids, err := t.objectIDs(ctx, &b)
	if err != nil {
		return nil, attempt(err, "records of type %s", recordType)
	}
	records := make([]Object, len(ids))
	for i, id := range ids {
		if records[i], err = t.Object(ctx, id); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// DocumentsOf lists the ids of a patient's documents, in the order of study and series: a
// few bytes each, where Documents reads everything the catalog keeps of them.
func (t *Tx) DocumentsOf(ctx context.Context, patient record.PatientToken) ([]record.ObjectID, error) {
	var b builder
	b.add("SELECT d.id FROM documents d WHERE d.patient = ? ORDER BY d.study, d.series, d.instance, d.id", string(patient))
	ids, err := t.objectIDs(ctx, &b)
	return ids, attempt(err, "documents of a patient")
}
