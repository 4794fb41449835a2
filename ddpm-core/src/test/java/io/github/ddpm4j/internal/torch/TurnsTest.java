package io.github.ddpm4j.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import org.junit.jupiter.api.Test;

class TurnsTest {

  private final Turns turns = new Turns("Thing", "this thing is closed; make another");
  private final AtomicInteger freed = new AtomicInteger();

  private Thread closing() {
    Thread thread = new Thread(() -> turns.close(freed::incrementAndGet));
    thread.start();
    return thread;
  }

  private static void untilItWaits(Thread thread) {
    while (thread.getState() != Thread.State.WAITING) {
      Thread.onSpinWait();
    }
  }

  @Test
  void close_waitsForTheUsesThatHaveBegun() throws InterruptedException {
    Thread closing;
    try (Turns.Turn one = turns.use();
        Turns.Turn within = turns.use()) {
      closing = closing();
      untilItWaits(closing);
      assertThat(freed).hasValue(0);
      assertThat(turns.isClosed()).isFalse();
    }
    closing.join();
    assertThat(freed).hasValue(1);
    assertThat(turns.isClosed()).isTrue();
  }

  @Test
  void use_afterClosing_refused() {
    turns.close(freed::incrementAndGet);
    turns.close(freed::incrementAndGet);
    assertThat(freed).hasValue(1);
    assertThatThrownBy(turns::use)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("this thing is closed; make another");
  }

  @Test
  void close_onTheThreadThatUsesIt_refused() {
    try (Turns.Turn use = turns.use()) {
      assertThatThrownBy(() -> turns.close(freed::incrementAndGet))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "Thing is in use on this thread, "
                  + Thread.currentThread().getName()
                  + ", and cannot be closed before that is done; close it after the call returns");
    }
    turns.close(freed::incrementAndGet);
    assertThat(freed).hasValue(1);
  }

  /** A virtual thread that waits leaves its carrier, and with it the switch, to others. */
  @Test
  void lock_waits_withRecordingOnAndGoesOnWithItOff() throws InterruptedException {
    boolean[] recording = {true, true};
    ReentrantLock lock =
        new ReentrantLock() {
          private static final long serialVersionUID = 1;

          @Override
          public void lock() {
            recording[0] = GradModeTest.isRecording();
            super.lock();
          }
        };
    try (GradMode off = GradMode.off()) {
      GradMode.lock(lock);
      recording[1] = GradModeTest.isRecording();
      lock.unlock();
    }
    assertThat(recording).containsExactly(true, false);
  }
}
