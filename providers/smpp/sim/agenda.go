package sim

// task is something due later: an answer if conn is set, else a deliver_sm.
type task struct {
	// at is in nanoseconds of the clock.
	at    int64
	order uint64
	// conn gets answers, the bytes of n submit_sm_resp.
	conn    *conn
	answers []byte
	n       int
	// deliver is put into the queue of its account.
	deliver *deliver
}

// before orders by time; at the same time answers come first, and then what was added first.
func (t *task) before(o *task) bool {
	if t.at != o.at {
		return t.at < o.at
	}
	if (t.conn != nil) != (o.conn != nil) {
		return t.conn != nil
	}
	return t.order < o.order
}

// agenda is a binary heap of tasks. The server's lock guards it.
type agenda struct {
	tasks []task
	order uint64
}

// add returns true if the task is now the first one.
func (a *agenda) add(t task) bool {
	a.order++
	t.order = a.order
	a.tasks = append(a.tasks, t)
	i := len(a.tasks) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !a.tasks[i].before(&a.tasks[up]) {
			break
		}
		a.tasks[i], a.tasks[up] = a.tasks[up], a.tasks[i]
		i = up
	}
	return i == 0
}

// due takes out the first task if its time has come.
func (a *agenda) due(now int64) (task, bool) {
	if len(a.tasks) == 0 || a.tasks[0].at > now {
		return task{}, false
	}
	first := a.tasks[0]
	last := len(a.tasks) - 1
	a.tasks[0] = a.tasks[last]
	a.tasks[last] = task{}
	a.tasks = a.tasks[:last]
	a.down(0)
	return first, true
}

// down moves a task to its place below.
func (a *agenda) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(a.tasks) {
			return
		}
		if least+1 < len(a.tasks) && a.tasks[least+1].before(&a.tasks[least]) {
			least++
		}
		if !a.tasks[least].before(&a.tasks[i]) {
			return
		}
		a.tasks[i], a.tasks[least] = a.tasks[least], a.tasks[i]
		i = least
	}
}

// fix restores the order after tasks were taken out of the middle.
func (a *agenda) fix() {
	for i := len(a.tasks)/2 - 1; i >= 0; i-- {
		a.down(i)
	}
}
