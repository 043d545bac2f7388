package locust

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// crowdWatch counts the processes that a script has started, wherever in the tree
// of processes they went: they have the variable that the interpreter was given.
type crowdWatch struct {
	mark     []byte
	baseline int // tasks of the machine when it was made
}

// quietGrowth is how many more tasks the machine may have than at the start
// before anybody looks whose they are.
const quietGrowth = 300

func newCrowdWatch(token string) *crowdWatch {
	return &crowdWatch{mark: []byte(markName + "=" + token + "\x00"), baseline: tasks()}
}

// tasks returns how many tasks the machine has, from "0.1 0.2 0.3 2/456 789".
func tasks() int {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 4 {
		return 0
	}
	_, all, _ := strings.Cut(f[3], "/")
	n, _ := strconv.Atoi(all) // 0 looks as if there were none
	return n
}

// count returns how many processes there are, 0 when it is clear that they are few.
func (w *crowdWatch) count() int {
	if now := tasks(); now < w.baseline+quietGrowth {
		w.baseline = min(w.baseline, now)
		return 0
	}
	return len(w.find())
}

func (w *crowdWatch) find() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && (bytes.HasPrefix(env, w.mark) || bytes.Contains(env, append([]byte{0}, w.mark...))) {
			found = append(found, pid)
		}
	}
	return found
}

// kill ends all of them. More may come while it does, so it looks again.
func (w *crowdWatch) kill(c *child) {
	killGroup(c.cmd)
	for end := time.Now().Add(byeWait); time.Now().Before(end); {
		all := w.find()
		if len(all) == 0 {
			return
		}
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGKILL) // gone is what is wanted
		}
	}
}

// askForDump makes the interpreter write where its threads are.
func askForDump(cmd *exec.Cmd) bool {
	return cmd.Process != nil && cmd.Process.Signal(syscall.SIGUSR2) == nil
}
