// The pause program does nothing until it is told to end: as the first process of a pod it keeps the pod's
// namespaces alive, whatever its containers do.
package main

import (
	"context"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGCHLD)
	end, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	<-end.Done()
}
