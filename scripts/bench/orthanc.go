package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// orthancPlugin is where Debian's orthanc-dicomweb puts the plugin.
const orthancPlugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

// openOrthanc starts Debian's Orthanc with its DICOMweb plugin as something to measure
// beside the vault, with the settings it comes with: files are synced to disk
// (SyncStorageArea) and not compressed, the index is SQLite. Only what belongs to this
// run is set: folders, port, no DICOM port and, since everything is on loopback, no
// passwords. nil when it is not installed.
func openOrthanc(ctx context.Context) (*target, error) {
	program, err := exec.LookPath("Orthanc")
	if err == nil {
		_, err = os.Stat(orthancPlugin)
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "bench: nothing to compare with (apt-get install orthanc orthanc-dicomweb)")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("orthanc: %w", err)
	}
	t := &target{http: newClient()}
	if err := t.startOrthanc(ctx, program); err != nil {
		t.close()
		return nil, fmt.Errorf("orthanc: %w", err)
	}
	return t, nil
}

func (t *target) startOrthanc(ctx context.Context, program string) (err error) {
	if t.scratch, err = os.MkdirTemp("", "medvault-bench-"); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"StorageDirectory": filepath.Join(t.scratch, "orthanc"), "IndexDirectory": filepath.Join(t.scratch, "orthanc"),
		"HttpPort": address.Port, "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "DicomServerEnabled": false,
		"Plugins": []string{orthancPlugin}, "DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/"},
	})
	if err != nil {
		return err
	}
	path := filepath.Join(t.scratch, "orthanc.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return err
	}
	if err := t.run(exec.Command(program, path)); err != nil {
		return err
	}
	url := "http://" + address.String()
	t.dicomweb = url + "/dicom-web"
	return t.until(ctx, func() bool { return t.answers(url + "/system") })
}

func freeAddress() (*net.TCPAddr, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return l.Addr().(*net.TCPAddr), l.Close()
}
