package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// rowsInsert inserts many rows in one statement, which is prepared once: a statement
// for every row, or a new one every time, would cost more than the rows. It is prepared
// for a few numbers of rows, and the last row is repeated up to the next of them: what
// is there already is not inserted.
type rowsInsert struct {
	statements []*sql.Stmt // for rowCounts rows
}

// rowCounts are the numbers of rows a rowsInsert is prepared for.
var rowCounts = [...]int{4, 32, 256}

func (c *Catalog) prepareRows(ctx context.Context, into string, columns int) (*rowsInsert, error) {
	r := new(rowsInsert)
	for _, count := range rowCounts {
		var text strings.Builder
		text.WriteString("INSERT INTO " + into + " VALUES ")
		for i := range count * columns {
			switch {
			case i == 0:
				text.WriteString("(")
			case i%columns == 0:
				text.WriteString("), (")
			default:
				text.WriteString(", ")
			}
			text.WriteString(c.dialect.placeholder(i + 1))
		}
		text.WriteString(") ON CONFLICT DO NOTHING")
		s, err := c.write.PrepareContext(ctx, text.String())
		if err != nil {
			return r, fmt.Errorf("rows of %s: %w", into, err)
		}
		r.statements = append(r.statements, s)
	}
	return r, nil
}

// placeholder stands for the nth value of a statement. SQLite compares a name with all
// those before it, which for two thousand values takes longer than their insertion.
func (d dialect) placeholder(n int) string {
	if d == sqlite {
		return "?"
	}
	return "$" + strconv.Itoa(n)
}

// exec inserts n rows; row appends the values of one to args.
func (r *rowsInsert) exec(ctx context.Context, tx *sql.Tx, n int, row func(args []any, i int) []any) error {
	for first := 0; first < n; {
		size := 0
		for size < len(rowCounts)-1 && rowCounts[size] < n-first {
			size++
		}
		var args []any
		for i := range rowCounts[size] {
			args = row(args, min(first+i, n-1))
		}
		if _, err := tx.StmtContext(ctx, r.statements[size]).ExecContext(ctx, args...); err != nil {
			return err
		}
		first += rowCounts[size]
	}
	return nil
}

func (r *rowsInsert) close() error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, s := range r.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
