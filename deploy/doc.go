// Package deploy holds files with which nodes back up by themselves, without a machine that coordinates them: systemd units,
// crontabs and Kubernetes manifests. docs/schedule.md tells how to use them.
//
// All nodes give the backup of a night one name, the day of UTC on which they start, and --stagger spreads them. Only exit
// code 0 counts as done: no unit and no Job takes a backup that lacks something for a success. The tests have
// systemd-analyze verify the units and judge what they may do, Kubernetes' own types read the manifests, and cbk read every
// command line that stands in a file or on the page.
package deploy
