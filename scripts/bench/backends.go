package main

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib"

	"medvault/vault/record"
)

// backends are real servers of this run alone: three S3 regions and a PostgreSQL.
type backends struct {
	dir       string
	endpoints []string // one of each region
	access    string
	secret    string
	postgres  string // "" where it is not installed
}

// startBackends starts what the tests use, with all it keeps under dir.
func startBackends(ctx context.Context, dir string) (*backends, error) {
	fmt.Fprintln(os.Stderr, "bench: starting S3 regions and PostgreSQL")
	b := &backends{dir: dir}
	start := exec.CommandContext(ctx, "scripts/backends/start", dir)
	start.Stdout, start.Stderr = os.Stderr, os.Stderr
	if err := start.Run(); err != nil {
		b.stop()
		return nil, fmt.Errorf("start servers (run bench from the root of the repository): %w", err)
	}
	f, err := os.Open(filepath.Join(dir, "env"))
	if err != nil {
		b.stop()
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch value = strings.Trim(value, "'"); name {
		case "MEDVAULT_TEST_S3":
			b.endpoints = strings.Split(value, ",")
		case "MEDVAULT_TEST_S3_ACCESS":
			b.access = value
		case "MEDVAULT_TEST_S3_SECRET":
			b.secret = value
		case "MEDVAULT_TEST_POSTGRES":
			b.postgres = value
		}
	}
	return b, nil
}

func (b *backends) stop() {
	stop := exec.Command("scripts/backends/stop", b.dir)
	stop.Stderr = os.Stderr
	if err := stop.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: stop servers:", err)
	}
}

// files is where the server of region number n keeps a bucket.
func (b *backends) files(n int, bucket string) string {
	return filepath.Join(b.dir, fmt.Sprintf("s3-%d", n+1), "data", bucket)
}

// database makes a new one, and names it as a catalog does.
func (b *backends) database(ctx context.Context) (dsn string, err error) {
	admin, err := sql.Open("pgx", b.postgres)
	if err != nil {
		return "", err
	}
	defer admin.Close()
	name := "bench_" + string(record.NewObjectID())
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("create a database: %w", err)
	}
	return strings.Replace(b.postgres, "/postgres?", "/"+name+"?", 1), nil
}
