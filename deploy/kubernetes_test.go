package deploy

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// manifest is what one file holds.
type manifest struct {
	configs []corev1.ConfigMap
	claims  []corev1.PersistentVolumeClaim
	crons   []batchv1.CronJob
	jobs    []batchv1.Job
}

// parse reads the documents of a file as Kubernetes does, but refuses fields that Kubernetes' types lack.
func parse(t *testing.T, text string) (m manifest, err error) {
	t.Helper()
	for doc := range strings.SplitSeq(text, "\n---\n") {
		var kind struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := yaml.Unmarshal([]byte(doc), &kind); err != nil {
			return m, err
		}
		switch kind.APIVersion + " " + kind.Kind {
		case "v1 ConfigMap":
			err = add(&m.configs, doc)
		case "v1 PersistentVolumeClaim":
			err = add(&m.claims, doc)
		case "batch/v1 CronJob":
			err = add(&m.crons, doc)
		case "batch/v1 Job":
			err = add(&m.jobs, doc)
		default:
			t.Errorf("a document of kind %q", kind)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

func add[T any](to *[]T, doc string) error {
	var v T
	err := yaml.UnmarshalStrict([]byte(doc), &v)
	*to = append(*to, v)
	return err
}

func manifestOf(t *testing.T, name string) manifest {
	t.Helper()
	m, err := parse(t, read(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// jobs returns what the Jobs of a file are made of, those of CronJobs included.
func jobs(t *testing.T, name string) (specs []batchv1.JobSpec) {
	t.Helper()
	m := manifestOf(t, name)
	for _, j := range m.jobs {
		specs = append(specs, j.Spec)
	}
	for _, c := range m.crons {
		specs = append(specs, c.Spec.JobTemplate.Spec)
	}
	if len(specs) != 1 {
		t.Fatalf("%s has %d Jobs", name, len(specs))
	}
	return specs
}

// shellOf is the line of shell that a Job's only container runs; "$$(" is how Kubernetes is told not to expand "$(".
func shellOf(t *testing.T, job batchv1.JobSpec) string {
	t.Helper()
	c := job.Template.Spec.Containers
	if len(c) != 1 || c[0].Name != "cbk" || len(c[0].Command) != 3 || !slices.Equal(c[0].Command[:2], []string{"/bin/sh", "-c"}) {
		t.Fatalf("containers: %+v", c)
	}
	line := c[0].Command[2]
	if strings.Contains(strings.ReplaceAll(line, "$$(", ""), "$(") {
		t.Errorf("Kubernetes looks for a variable in %s", line)
	}
	return strings.ReplaceAll(line, "$$(", "$(")
}

// A code that fails the Job at once is none that a retry can help; 0 and 1 are not among them, nor is 130, with which a pod
// ends that is evicted.
func TestJobsRetryWhatARetryCanHelp(t *testing.T) {
	want := slices.DeleteFunc(exitCodes(t), func(c string) bool { return c == "0" || c == "1" || c == "130" })
	for _, name := range files(t, "kubernetes") {
		job := jobs(t, name)[0]
		if job.Template.Spec.RestartPolicy != corev1.RestartPolicyNever || job.BackoffLimit == nil || job.PodFailurePolicy == nil {
			t.Fatalf("%s: a policy for failures needs restartPolicy Never", name)
		}
		rules := job.PodFailurePolicy.Rules
		if len(rules) != 2 || rules[0].Action != batchv1.PodFailurePolicyActionFailJob || rules[1].Action != batchv1.PodFailurePolicyActionIgnore {
			t.Fatalf("%s: rules %+v", name, rules)
		}
		var codes []string
		for _, v := range rules[0].OnExitCodes.Values {
			codes = append(codes, strconv.Itoa(int(v)))
		}
		if diff := cmp.Diff(want, codes); diff != "" || *rules[0].OnExitCodes.ContainerName != "cbk" || rules[0].OnExitCodes.Operator != batchv1.PodFailurePolicyOnExitCodesOpIn {
			t.Errorf("%s (-codes that end a night +in the Job):\n%s", name, diff)
		}
		if on := rules[1].OnPodConditions; len(on) != 1 || on[0].Type != corev1.DisruptionTarget || on[0].Status != corev1.ConditionTrue {
			t.Errorf("%s ignores %+v", name, on)
		}
	}
}

func TestPodsHaveTheVolumesThatTheyMount(t *testing.T) {
	for _, name := range files(t, "kubernetes") {
		pod := jobs(t, name)[0].Template.Spec
		var volumes, mounts []string
		for _, v := range pod.Volumes {
			volumes = append(volumes, v.Name)
			if v.Name == "data" && !v.PersistentVolumeClaim.ReadOnly {
				t.Errorf("%s can write Cassandra's data", name)
			}
		}
		for _, m := range pod.Containers[0].VolumeMounts {
			mounts = append(mounts, m.Name)
		}
		if diff := cmp.Diff(volumes, mounts); diff != "" {
			t.Errorf("%s (-volumes +mounts):\n%s", name, diff)
		}
	}
}

func TestCronJobsDoNotOverlapAndGoByUTC(t *testing.T) {
	for _, name := range []string{"kubernetes/backup.yaml", "kubernetes/keeper.yaml"} {
		c := manifestOf(t, name).crons[0].Spec
		if c.ConcurrencyPolicy != batchv1.ForbidConcurrent || c.TimeZone == nil || *c.TimeZone != "Etc/UTC" {
			t.Errorf("%s: %q in %v", name, c.ConcurrencyPolicy, c.TimeZone)
		}
	}
}

// The one backup between nights is made just as the nightly ones, in a pod that differs in its command line alone.
func TestTheTwoBackupsDifferInTheirCommandAlone(t *testing.T) {
	night, now := jobs(t, "kubernetes/backup.yaml")[0], jobs(t, "kubernetes/backup-now.yaml")[0]
	now.Template.Spec.Containers[0].Command = night.Template.Spec.Containers[0].Command
	if diff := cmp.Diff(night, now); diff != "" {
		t.Errorf("(-nightly +now):\n%s", diff)
	}
}

func TestCbkReadsTheConfigurationsOfTheManifests(t *testing.T) {
	for _, name := range []string{"kubernetes/backup.yaml", "kubernetes/keeper.yaml"} {
		file := filepath.Join(t.TempDir(), "cbk.yaml")
		write(t, file, manifestOf(t, name).configs[0].Data["cbk.yaml"])
		out, err := exec.Command(binary(t), "config", "show", "--origin", "--config", file).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "s3://backups/cbk") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestAFieldThatKubernetesDoesNotHaveIsFound(t *testing.T) {
	text := read(t, "kubernetes/backup.yaml")
	for _, field := range []string{"concurrencyPolicy:", "onExitCodes:", "readOnlyRootFilesystem:"} {
		if _, err := parse(t, strings.Replace(text, field, "x"+field, 1)); err == nil {
			t.Errorf("x%s is read", field)
		}
	}
}
