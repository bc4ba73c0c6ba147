package catalog

import (
	"context"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Several gateways may start at once: on
// PostgreSQL an advisory lock lets one pass at a time, on SQLite the loser of a race
// finds the database busy or the work done, and looks again.
func (c *Catalog) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	kind, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if c.dialect == postgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		kind, options = goose.DialectPostgres, append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(kind, c.write, files, options...)
	if err != nil {
		return err
	}
	const tries = 5
	for try := 1; ; try++ {
		if _, err = provider.Up(ctx); err == nil {
			return nil
		}
		if c.dialect == postgres || try == tries {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}
