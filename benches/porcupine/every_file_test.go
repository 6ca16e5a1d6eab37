package porcupine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The CPU time of the process in nanoseconds, that of the garbage collector included.
func cpu(t *testing.T) int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// Every file of the test data: its name, Porcupine's verdict, and the nanoseconds of CPU time that the check takes,
// reading excluded: the mean of as many checks as fill a while. compare.sh copies this file into a checkout of Porcupine.
func TestEveryFile(t *testing.T) {
	while, err := time.ParseDuration(os.Getenv("WHILE"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("test_data/*/etcd_*.log")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("test_data/kv/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, more...) {
		model, events := etcdModel, []Event(nil)
		if strings.HasSuffix(file, ".txt") {
			model, events = kvModel, parseKvLog(file)
		} else {
			events = parseJepsenLog(file)
		}
		verdict := "bad"
		if CheckEvents(model, events) {
			verdict = "ok"
		}
		took, count := int64(0), int64(1)
		for {
			begin := cpu(t)
			for i := int64(0); i < count; i++ {
				CheckEvents(model, events)
			}
			if took = cpu(t) - begin; took >= while.Nanoseconds() {
				break
			}
			count *= 2
		}
		fmt.Println("FILE", strings.TrimPrefix(file, "test_data/"), verdict, took/count)
	}
}
