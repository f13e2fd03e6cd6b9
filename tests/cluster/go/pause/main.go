// The pause program does nothing until it is told to end: as the first process of a pod it keeps the pod's
// namespaces alive, whatever its containers do. With any argument it ends at once, which shows that containers run.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		return
	}
	signal.Ignore(syscall.SIGCHLD)
	end, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	<-end.Done()
}
