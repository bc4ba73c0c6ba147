package dir_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"medvault/storage"
	"medvault/storage/storetest"
)

// mount makes a disk of 4 MiB, which only root can.
func mount(t *testing.T) (root string) {
	t.Helper()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("needs a disk of its own, which only root can mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(disk, "bucket")
}

func TestDiskIsFull(t *testing.T) {
	s, ctx := open(t, mount(t)), t.Context()
	body := storetest.Body(storetest.Bytes(3 << 20))
	if err := s.Put(ctx, "objects/x", body); err != nil {
		t.Fatal(err)
	}
	found, err := s.Head(ctx, "objects/x")
	if err != nil {
		t.Fatal(err)
	}
	more := storetest.Body(storetest.Bytes(2 << 20))
	if err := s.Put(ctx, "objects/y", more); !errors.Is(err, storage.ErrFull) {
		t.Errorf("Put = %v; want ErrFull", err)
	}
	if _, err := s.Head(ctx, "objects/y"); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Head of what was refused = %v; want ErrNotExist", err)
	}
	if err := s.Repair(ctx, "objects/x", found, more); !errors.Is(err, storage.ErrFull) {
		t.Errorf("Repair = %v; want ErrFull", err)
	}
	if err := storage.Verify(ctx, s, "objects/x", body.Size, body.SHA256); err != nil {
		t.Errorf("what was there before: %v", err)
	}
	if err := s.Delete(ctx, "objects/x"); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if err := s.Put(ctx, "objects/y", more); err != nil {
		t.Errorf("Put when there is room again = %v: the refused one has left something", err)
	}
}

func TestDiskIsReadOnly(t *testing.T) {
	root := mount(t)
	s, ctx := open(t, root), t.Context()
	body := storetest.Body(storetest.Bytes(1000))
	if err := s.Put(ctx, "objects/x", body); err != nil {
		t.Fatal(err)
	}
	found, err := s.Head(ctx, "objects/x")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", filepath.Dir(root), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for call, err := range map[string]error{
		"Put":    s.Put(ctx, "objects/y", body),
		"Repair": s.Repair(ctx, "objects/x", found, storetest.Body(storetest.Bytes(10))),
		"Delete": s.Delete(ctx, "objects/x"),
	} {
		if !errors.Is(err, storage.ErrDenied) {
			t.Errorf("%s = %v; want ErrDenied", call, err)
		}
	}
	if err := storage.Verify(ctx, s, "objects/x", body.Size, body.SHA256); err != nil {
		t.Errorf("what is there: %v", err)
	}
}
