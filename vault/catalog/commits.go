package catalog

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"medvault/vault/audit"
	"medvault/vault/record"
)

// CommitLeaf tells the number of the leaf that commits an object. One that was not
// appended to the tree yet, or never written: ErrNotFound.
func (c *Catalog) CommitLeaf(ctx context.Context, id record.ObjectID) (n int64, err error) {
	err = c.read.QueryRowContext(ctx, "SELECT n FROM audit_commits WHERE object = $1", string(id)).Scan(&n)
	return n, attempt(err, "commit leaf of %s", id)
}

// indexCommits notes which of the leaves, numbered from first on, commit an object.
func (t *Tx) indexCommits(ctx context.Context, first int64, leaves [][]byte) error {
	type commit struct {
		object record.ObjectID
		n      int64
	}
	var commits []commit
	for i, data := range leaves {
		if !bytes.Contains(data, []byte(`"commit":`)) {
			continue // spares parsing the many leaves of reads
		}
		// What is no leaf commits nothing; that it lies there is for audit verify to tell.
		if leaf, err := audit.ParseLeaf(data); err == nil && leaf.Commit != nil {
			commits = append(commits, commit{leaf.Object, first + int64(i)})
		}
	}
	for chunk := range slices.Chunk(commits, 500) {
		var b builder
		b.add("INSERT INTO audit_commits (object, n) VALUES ")
		for i, c := range chunk {
			if i > 0 {
				b.add(", ")
			}
			b.add("(?, ?)", string(c.object), c.n)
		}
		b.add(" ON CONFLICT (object) DO NOTHING")
		if _, err := t.exec(ctx, &b); err != nil {
			return fmt.Errorf("index commits: %w", err)
		}
	}
	return nil
}

// indexOldCommits indexes a log that was written before there was an index.
func (c *Catalog) indexOldCommits(ctx context.Context) error {
	var begun bool
	if err := c.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM audit_commits)").Scan(&begun); err != nil || begun {
		return attempt(err, "index commits")
	}
	return c.Update(ctx, func(t *Tx) error {
		const page = 1024
		for next := int64(0); ; {
			leaves, err := c.LogLeaves(ctx, next, page)
			if err != nil || len(leaves) == 0 {
				return err
			}
			for _, leaf := range leaves {
				if err := t.indexCommits(ctx, leaf.Number, [][]byte{leaf.Data}); err != nil {
					return err
				}
				next = leaf.Number + 1
			}
		}
	})
}
