package io.github.ddpm4j.latent;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.unet.UNet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;

/**
 * One network for latents of several sizes. Runs of one size share a view, and so can share calls;
 * a few that nobody uses are kept, since making their programs takes time.
 */
final class SizedNetworks implements AutoCloseable {

  /** Views that are kept while nobody uses them. */
  private static final int IDLE = 3;

  private final UNet network;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<Shape, Use> uses = new LinkedHashMap<>();

  SizedNetworks(UNet network) {
    this.network = network;
  }

  /** A view and how many runs use it. */
  final class Use implements AutoCloseable {
    private final Denoiser view;
    private int count;
    private boolean stale;

    private Use(Denoiser view) {
      this.view = view;
    }

    Denoiser network() {
      return view;
    }

    /** Ends the use by one run. */
    @Override
    public void close() {
      GradMode.lock(lock);
      try {
        count--;
        if (stale && count == 0) {
          view.close();
        }
        tidy();
      } finally {
        lock.unlock();
      }
    }
  }

  /** The network for latents of (C, height, width), until the use is closed. */
  Use of(int height, int width) {
    Shape wanted = new Shape(network.config().imageShape().get(0), height, width);
    GradMode.lock(lock);
    try {
      Use use = uses.remove(wanted);
      if (use == null) {
        use = new Use(network.resized(height, width));
      }
      uses.put(wanted, use); // the last that was asked for is the last
      use.count++;
      return use;
    } finally {
      lock.unlock();
    }
  }

  /** Closes the idle views that are too many, those first that were asked for long ago. */
  private void tidy() {
    long idle = uses.values().stream().filter(use -> use.count == 0).count();
    Iterator<Use> all = uses.values().iterator();
    while (idle > IDLE && all.hasNext()) {
      Use use = all.next();
      if (use.count == 0) {
        use.view.close();
        all.remove();
        idle--;
      }
    }
  }

  /** Makes new views from now on. */
  void forget() {
    GradMode.lock(lock);
    try {
      uses.values()
          .forEach(
              use -> {
                use.stale = true;
                if (use.count == 0) {
                  use.view.close();
                }
              });
      uses.clear();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    forget();
  }
}
