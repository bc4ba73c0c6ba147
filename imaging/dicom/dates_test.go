package dicom_test

import (
	"testing"

	"medvault/imaging/dicom"
)

func TestShiftDates(t *testing.T) {
	for _, c := range []struct {
		vr          dicom.VR
		value, want string
		days        int
	}{
		{dicom.DA, "20240301", "20240229", -1},
		{dicom.DA, "20231231 ", "20240101", 1},
		{dicom.DA, "1992.12.31", "19930101", 1},
		{dicom.DA, `20240101\\20240103`, `20240102\\20240104`, 1},
		{dicom.DA, "", "", 5},
		{dicom.DA, "20240230", "", 5},
		{dicom.DA, "00010101", "", -1},
		{dicom.DA, "99991231", "", 1},
		{dicom.DA, "20240101-20240201", "", 1},
		{dicom.DT, "20240229235959.123456+0800", "20250228235959.123456+0800", 365},
		{dicom.DT, "2024", "2023", -1},
		{dicom.DT, "202403", "202402", -1},
		{dicom.DT, "20240301", "20240302", 1},
		{dicom.DT, "20240301 noon", "", 1},
		{dicom.DT, "yesterday", "", 1},
	} {
		if got := dicom.ShiftDates(c.vr, c.value, c.days); got != c.want {
			t.Errorf("%v %q by %d days: %q; want %q", c.vr, c.value, c.days, got, c.want)
		}
	}
}
