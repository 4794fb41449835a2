package io.github.ddpm4j.data;

import io.github.ddpm4j.data.PictureFolder.BrokenFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The pictures of a folder. Each is read once before the first is given, so that broken ones are
 * known, and so that the cache is filled.
 */
final class FolderSource implements Source {

  private static final Logger logger = LoggerFactory.getLogger(FolderSource.class);

  /** So many broken files are named in a message. */
  private static final int SHOWN = 5;

  private final Path folder;
  private final PictureList files;
  private final Fitting fitting;
  private final FrameCache cache;
  private final Workers workers;
  private final boolean failOnBroken;

  /** The numbers of the files that can be read; null before they were. */
  private volatile int @Nullable [] whole;

  private volatile List<BrokenFile> broken = List.of();

  FolderSource(
      Path folder,
      PictureList files,
      Fitting fitting,
      FrameCache cache,
      Workers workers,
      boolean failOnBroken) {
    this.folder = folder;
    this.files = files;
    this.fitting = fitting;
    this.cache = cache;
    this.workers = workers;
    this.failOnBroken = failOnBroken;
  }

  @Override
  public synchronized void prepare() throws IOException {
    if (whole != null) {
      return;
    }
    List<Integer> good = new ArrayList<>();
    List<BrokenFile> bad = new ArrayList<>();
    Queue<Future<Optional<BrokenFile>>> running = new ArrayDeque<>();
    int ahead = 4 * workers.threads();
    int count = files.entries().size();
    for (int i = 0; i < count + ahead; i++) {
      if (i < count) {
        int number = i;
        running.add(workers.submit(() -> check(number)));
      }
      if (i >= ahead && !running.isEmpty()) {
        int number = i - ahead;
        Workers.await(running.remove()).ifPresentOrElse(bad::add, () -> good.add(number));
      }
    }
    broken = List.copyOf(bad);
    if (!bad.isEmpty() && (failOnBroken || good.isEmpty())) {
      throw new IOException(
          bad.size()
              + " of "
              + count
              + " pictures of "
              + folder
              + " are broken: "
              + some(bad)
              + (good.isEmpty()
                  ? "; there is no other to train on"
                  : "; mend them or take them away, or leave out failOnBroken() to train on the"
                      + " others"));
    }
    if (!bad.isEmpty()) {
      logger.warn(
          "{} of {} pictures of {} are broken and left out: {}",
          bad.size(),
          count,
          folder,
          some(bad));
    }
    whole = good.stream().mapToInt(Integer::intValue).toArray();
  }

  private static String some(List<BrokenFile> bad) {
    String named = String.join("; ", bad.stream().limit(SHOWN).map(BrokenFile::reason).toList());
    return named + (bad.size() > SHOWN ? "; and " + (bad.size() - SHOWN) + " more" : "");
  }

  /** Reads a file, and keeps what it holds if there is room. */
  private Optional<BrokenFile> check(int number) throws IOException {
    PictureList.Entry entry = files.entries().get(number);
    Frame frame;
    try {
      frame = fitting.read(entry.file());
    } catch (IOException | RuntimeException e) {
      return Optional.of(new BrokenFile(entry.file(), String.valueOf(e.getMessage())));
    }
    cache.put(number, frame);
    return Optional.empty();
  }

  List<BrokenFile> broken() {
    return broken;
  }

  private int[] whole() {
    int[] known = whole;
    if (known == null) {
      throw new IllegalStateException("prepare() comes first");
    }
    return known;
  }

  @Override
  public int size() {
    return whole().length;
  }

  @Override
  public Frame frame(int index) throws IOException {
    int number = whole()[index];
    Frame kept = cache.get(number);
    return kept != null ? kept : fitting.read(files.entries().get(number).file());
  }

  @Override
  public int label(int index) {
    return files.entries().get(whole()[index]).label();
  }

  @Override
  public String name(int index) {
    return files.entries().get(whole()[index]).name();
  }

  @Override
  public List<String> classNames() {
    return files.classNames();
  }
}
