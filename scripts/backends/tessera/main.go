// Command tessera checks an exported log with Tessera's own reader and fsck, which
// share no code with the vault: every tile against every leaf and the signed
// checkpoint, and inclusion and consistency proofs made from the tiles.
//
//	tessera DIR KEY     DIR as `medvault audit export` writes it; KEY verifies the checkpoint
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: tessera DIR KEY")
		os.Exit(2)
	}
	size, err := check(context.Background(), os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tessera:", err)
		os.Exit(1)
	}
	fmt.Println(size, "leaves")
}

func check(ctx context.Context, dir, key string) (size uint64, err error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return 0, err
	}
	files := client.FileFetcher{Root: dir}
	if err := fsck.New(v.Name(), v, files, leafHashes, fsck.Opts{N: 2}).Check(ctx); err != nil {
		return 0, fmt.Errorf("fsck: %w", err)
	}
	cp, _, _, err := client.FetchCheckpoint(ctx, files.ReadCheckpoint, v, v.Name())
	if err != nil {
		return 0, err
	}
	proofs, err := client.NewProofBuilder(ctx, cp.Size, files.ReadTile)
	if err != nil {
		return 0, err
	}
	for _, n := range []uint64{0, cp.Size / 2, cp.Size - 1} {
		if err := included(ctx, files, proofs, cp.Size, cp.Hash, n); err != nil {
			return 0, fmt.Errorf("inclusion of leaf %d: %w", n, err)
		}
	}
	return cp.Size, nil
}

func included(ctx context.Context, files client.FileFetcher, proofs *client.ProofBuilder, size uint64, root []byte, n uint64) error {
	bundle, err := client.GetEntryBundle(ctx, files.ReadEntryBundle, n/256, size)
	if err != nil {
		return err
	}
	if uint64(len(bundle.Entries)) <= n%256 {
		return errors.New("the bundle is short")
	}
	path, err := proofs.InclusionProof(ctx, n)
	if err != nil {
		return err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(bundle.Entries[n%256])
	return proof.VerifyInclusion(rfc6962.DefaultHasher, n, size, leaf, path, root)
}

func leafHashes(data []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(data); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(bundle.Entries))
	for i, e := range bundle.Entries {
		hashes[i] = rfc6962.DefaultHasher.HashLeaf(e)
	}
	return hashes, nil
}
