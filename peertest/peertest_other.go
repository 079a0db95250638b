//go:build !linux

package peertest

import "os/exec"

func endWithParent(*exec.Cmd) {}
