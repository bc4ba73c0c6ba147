package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// The log lies in a region in the layout of C2SP tlog-tiles, below log/:
//
//	log/tile/L/N[.p/W]         256 hashes of level 8·L, or the first W of them
//	log/tile/entries/N[.p/W]   the leaves under log/tile/0/N[.p/W]: each its length in
//	                           two bytes, big-endian, and its bytes
//	log/checkpoints/SIZE       a checkpoint of that many leaves, in 16 digits, so that
//	                           the last name of a listing is the newest
//	log/cosignatures/SIZE/KEY  what a verifier signed under that checkpoint (exportcosign.go)
//	log/manifests/SIZE         what the region must hold (exportmanifest.go)
//	log/pages/SHA256           a page of it
//
// Nothing is written twice: a name is of one content for ever. A checkpoint is written
// after every tile it covers, so whoever finds one finds its tiles. tile/ and, under
// the name checkpoint, one checkpoint are what C2SP clients read.
const (
	LogPrefix         = "log/"
	tilePrefix        = LogPrefix + "tile/"
	entriesPrefix     = tilePrefix + "entries/"
	CheckpointPrefix  = LogPrefix + "checkpoints/"
	CosignaturePrefix = LogPrefix + "cosignatures/"
	ManifestPrefix    = LogPrefix + "manifests/"
	PagePrefix        = LogPrefix + "pages/"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// CheckpointKey names the checkpoint of a size.
func CheckpointKey(size int64) string { return CheckpointPrefix + sizeName(size) }

func sizeName(size int64) string { return fmt.Sprintf("%016d", size) }

// parseSize is sizeName backwards.
func parseSize(name string) (size int64, ok bool) {
	size, err := strconv.ParseInt(name, 10, 64)
	return size, err == nil && size > 0 && sizeName(size) == name
}

func tileKey(t tlog.Tile) string {
	return tilePrefix + strconv.Itoa(t.L) + "/" + tileName(t.N) + partName(t.W)
}

func entriesKey(t tlog.Tile) string { return entriesPrefix + tileName(t.N) + partName(t.W) }

// tileName writes a tile's number in groups of three digits, all but the last with an x
// before: 1234067 is x001/x234/067.
func tileName(n int64) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	return name
}

func partName(width int) string {
	if width == tileWidth {
		return ""
	}
	return ".p/" + strconv.Itoa(width)
}

// IsLogName tells whether key is one under which an export may have written: of leaves
// only where they may lie. What lies there is another question.
func IsLogName(key string, leavesToo bool) bool {
	rest, ok := strings.CutPrefix(key, LogPrefix)
	if !ok {
		return false
	}
	class, name, _ := strings.Cut(rest, "/")
	switch class {
	case "checkpoints", "manifests":
		_, ok := parseSize(name)
		return ok
	case "cosignatures":
		size, who, _ := strings.Cut(name, "/")
		_, ok := parseSize(size)
		return ok && isHex(who, 8)
	case "pages":
		return isSHA256(name)
	case "tile":
		_, ok := parseTileKey(key)
		return ok && leavesToo
	}
	return false
}

func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

// parseTileKey reads what tileKey and entriesKey write; level -1 is entries.
func parseTileKey(key string) (t tlog.Tile, ok bool) {
	rest, ok := strings.CutPrefix(key, tilePrefix)
	if !ok {
		return t, false
	}
	level, name, _ := strings.Cut(rest, "/")
	t = tlog.Tile{H: tileHeight, L: -1, W: tileWidth}
	if level != "entries" {
		var err error
		if t.L, err = strconv.Atoi(level); err != nil {
			return t, false
		}
	}
	name, width, partial := strings.Cut(name, ".p/")
	if partial {
		var err error
		if t.W, err = strconv.Atoi(width); err != nil || t.W < 1 || t.W >= tileWidth {
			return t, false
		}
	}
	for group := range strings.SplitSeq(name, "/") {
		n, err := strconv.ParseInt(strings.TrimPrefix(group, "x"), 10, 64)
		if err != nil || n < 0 || n > 999 || t.N > (1<<62)/1000 {
			return t, false
		}
		t.N = t.N*1000 + n
	}
	if t.L < 0 {
		return t, entriesKey(t) == key
	}
	return t, t.L < 8 && tileKey(t) == key
}

// newTiles yields the tiles that a tree of size to has and one of size from had not,
// level by level from the leaves up.
func newTiles(from, to int64) iter.Seq[tlog.Tile] {
	return func(yield func(tlog.Tile) bool) {
		for level := 0; from < to; level, from, to = level+1, from>>tileHeight, to>>tileHeight {
			last := (to - 1) >> tileHeight
			for n := from >> tileHeight; n <= last; n++ {
				width := min(tileWidth, to-n<<tileHeight)
				if !yield(tlog.Tile{H: tileHeight, L: level, N: n, W: int(width)}) {
					return
				}
			}
		}
	}
}

// ExportTiles gives put every file of tiles and leaves that a log of tree.N leaves has
// and one of from leaves had not, in constant memory. tree is that of an opened
// checkpoint of the log: nothing is given that it does not cover, so what is damaged in
// the log never gets into a region. put must be done with data when it returns.
func ExportTiles(ctx context.Context, log Tree, tree tlog.Tree, from int64, put func(ctx context.Context, key string, data []byte) error) error {
	x := newTileExport(ctx, log, tree, put)
	for t := range newTiles(from, tree.N) {
		if err := x.tile(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// ExportMissing is ExportTiles of those files of a log of tree.N leaves that a region has
// not, and counts their tiles. It looks at names, and holds a bit for each tile.
func ExportMissing(ctx context.Context, log Tree, tree tlog.Tree, list func(ctx context.Context, prefix string) iter.Seq2[string, error],
	put func(ctx context.Context, key string, data []byte) error) (missing int, err error) {
	var hashes [8]bitSet // full tiles by level
	var leaves bitSet
	parts := make(map[string]bool)
	for key, err := range list(ctx, tilePrefix) {
		if err != nil {
			return 0, fmt.Errorf("list tiles: %w", err)
		}
		switch t, ok := parseTileKey(key); {
		case !ok || t.N > tree.N>>tileHeight: // not of this log
		case t.W < tileWidth:
			if t.N == tree.N>>((max(t.L, 0)+1)*tileHeight) { // at the edge
				parts[key] = true
			}
		case t.L < 0:
			leaves.set(t.N)
		default:
			hashes[t.L].set(t.N)
		}
	}
	has := func(t tlog.Tile) bool {
		if t.W < tileWidth {
			return parts[tileKey(t)] && (t.L > 0 || parts[entriesKey(t)])
		}
		return hashes[t.L].has(t.N) && (t.L > 0 || leaves.has(t.N))
	}
	x := newTileExport(ctx, log, tree, put)
	for t := range newTiles(0, tree.N) {
		if has(t) {
			continue
		}
		if err := x.tile(ctx, t); err != nil {
			return missing, err
		}
		missing++
	}
	return missing, nil
}

// bitSet is a set of small numbers.
type bitSet []uint64

func (b *bitSet) set(n int64) {
	for int64(len(*b)) <= n/64 {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bitSet) has(n int64) bool { return n/64 < int64(len(b)) && b[n/64]&(1<<(n%64)) != 0 }

// tileExport writes tiles of one tree.
type tileExport struct {
	log Tree
	put func(ctx context.Context, key string, data []byte) error
	*authentic
}

func newTileExport(ctx context.Context, log Tree, tree tlog.Tree, put func(ctx context.Context, key string, data []byte) error) tileExport {
	return tileExport{log, put, newAuthentic(tree, func(t tlog.Tile) ([]byte, error) { return logTile(ctx, log, t) })}
}

func (x tileExport) tile(ctx context.Context, t tlog.Tile) error {
	hashes, err := x.authentic.tile(t)
	if err != nil {
		return fmt.Errorf("export %s: %w", tileKey(t), err)
	}
	if t.L == 0 {
		bundle, err := logBundle(ctx, x.log, t, hashes)
		if err == nil {
			err = x.put(ctx, entriesKey(t), bundle)
		}
		if err != nil {
			return fmt.Errorf("export %s: %w", entriesKey(t), err)
		}
	}
	if err := x.put(ctx, tileKey(t), hashes); err != nil {
		return fmt.Errorf("export %s: %w", tileKey(t), err)
	}
	return nil
}

// logTile makes a tile of the log: of its leaves at the bottom, of stored hashes above.
func logTile(ctx context.Context, log Tree, t tlog.Tile) ([]byte, error) {
	if t.L > 0 {
		return tlog.ReadTileData(t, reader(ctx, log))
	}
	leaves, err := leavesOf(ctx, log, t)
	if err != nil {
		return nil, err
	}
	data := make([]byte, 0, t.W*tlog.HashSize)
	for _, leaf := range leaves {
		hash := tlog.RecordHash(leaf.Data)
		data = append(data, hash[:]...)
	}
	return data, nil
}

func leavesOf(ctx context.Context, log Tree, t tlog.Tile) ([]StoredLeaf, error) {
	first := t.N << tileHeight
	leaves, err := log.LogLeaves(ctx, first, t.W)
	if err != nil {
		return nil, err
	}
	for i := range t.W {
		if i >= len(leaves) || leaves[i].Number != first+int64(i) {
			return nil, fmt.Errorf("leaf %d is missing", first+int64(i))
		}
	}
	return leaves, nil
}

// logBundle writes the leaves of a tile whose hashes are known.
func logBundle(ctx context.Context, log Tree, t tlog.Tile, hashes []byte) ([]byte, error) {
	leaves, err := leavesOf(ctx, log, t)
	if err != nil {
		return nil, err
	}
	var bundle []byte
	for i, leaf := range leaves {
		if len(leaf.Data) > MaxLeaf {
			return nil, fmt.Errorf("leaf %d: %d bytes", leaf.Number, len(leaf.Data))
		}
		if tlog.RecordHash(leaf.Data) != hashAt(hashes, i) {
			return nil, fmt.Errorf("leaf %d: its bytes do not have the signed hash", leaf.Number)
		}
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf.Data)))
		bundle = append(bundle, leaf.Data...)
	}
	return bundle, nil
}

func hashAt(hashes []byte, i int) tlog.Hash {
	return tlog.Hash(hashes[i*tlog.HashSize:][:tlog.HashSize])
}

// authentic fetches tiles and believes those that a tree covers. For one goroutine.
type authentic struct {
	fetch  func(tlog.Tile) ([]byte, error)
	tree   tlog.Tree
	hashes tlog.HashReader
	known  map[tlog.Tile][]byte // believed
}

// keptTiles bounds what authentic keeps: the edge of the tree and its last ways down.
const keptTiles = 64

func newAuthentic(tree tlog.Tree, fetch func(tlog.Tile) ([]byte, error)) *authentic {
	a := &authentic{fetch: fetch, tree: tree, known: make(map[tlog.Tile][]byte)}
	a.hashes = tlog.TileHashReader(tree, a)
	return a
}

var _ tlog.TileReader = (*authentic)(nil)

// tile returns a tile of the tree.
func (a *authentic) tile(t tlog.Tile) ([]byte, error) {
	if data, ok := a.known[t]; ok {
		return data, nil
	}
	if _, err := a.hashes.ReadHashes([]int64{tlog.StoredHashIndex(t.L*tileHeight, t.N<<tileHeight)}); err != nil {
		return nil, err
	}
	data, ok := a.known[t]
	if !ok {
		return nil, errors.New("no tile of this tree")
	}
	return data, nil
}

// root is the tree hash of the first size leaves.
func (a *authentic) root(size int64) (tlog.Hash, error) {
	if size == a.tree.N {
		return a.tree.Hash, nil
	}
	return tlog.TreeHash(size, a.hashes)
}

// Height implements tlog.TileReader.
func (a *authentic) Height() int { return tileHeight }

// ReadTiles implements tlog.TileReader.
func (a *authentic) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		if data[i] = a.known[t]; data[i] != nil {
			continue
		}
		var err error
		if data[i], err = a.fetch(t); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader.
func (a *authentic) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	if len(a.known)+len(tiles) > keptTiles {
		clear(a.known)
	}
	for i, t := range tiles {
		a.known[t] = data[i]
	}
}
