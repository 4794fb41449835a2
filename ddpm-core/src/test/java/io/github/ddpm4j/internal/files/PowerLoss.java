package io.github.ddpm4j.internal.files;

import io.github.ddpm4j.internal.files.WatchedFiles.Change;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What may be on the disk when the power is lost after some changes. Bytes that were not forced may
 * be there, missing, cut off anywhere, zero or wrong; of the changes of names that no force of
 * their folder has confirmed, any may be there without the others.
 */
public final class PowerLoss {

  /** What becomes of bytes that were not forced. */
  public enum Bytes {
    KEPT,
    LOST,
    HALVED,
    NEARLY_WHOLE,
    ZEROED,
    TORN,
    FLIPPED
  }

  private static final class Inode {
    private final ByteArrayOutputStream written = new ByteArrayOutputStream();
    private int forced;

    byte[] after(Bytes damage) {
      byte[] all = written.toByteArray();
      int loose = all.length - forced;
      return switch (damage) {
        case KEPT -> all;
        case LOST -> Arrays.copyOf(all, forced);
        case HALVED -> Arrays.copyOf(all, forced + loose / 2);
        case NEARLY_WHOLE -> Arrays.copyOf(all, all.length - Math.min(loose, 1));
        case TORN -> {
          // The later blocks got there first.
          Arrays.fill(all, forced, forced + loose / 2, (byte) 0);
          yield all;
        }
        case ZEROED -> {
          Arrays.fill(all, forced, all.length, (byte) 0);
          yield all;
        }
        case FLIPPED -> {
          if (loose > 0) {
            all[forced + loose / 2] ^= 4;
          }
          yield all;
        }
      };
    }
  }

  private final Set<Path> folders;
  private final Map<Path, byte[]> files;

  private PowerLoss(Set<Path> folders, Map<Path, byte[]> files) {
    this.folders = folders;
    this.files = files;
  }

  /**
   * The states after the first changes, each different one once.
   *
   * @param before the files that were there at the beginning, all of them on the disk
   * @param changes what has happened
   * @param count how many of the changes
   */
  public static List<PowerLoss> after(Map<Path, byte[]> before, List<Change> changes, int count) {
    Map<Path, Inode> names = new LinkedHashMap<>();
    before.forEach(
        (path, bytes) -> {
          Inode inode = new Inode();
          inode.written.writeBytes(bytes);
          inode.forced = bytes.length;
          names.put(path, inode);
        });
    Map<Path, Inode> confirmed = new LinkedHashMap<>(names);
    List<Renaming> loose = new ArrayList<>();
    Set<Path> folders = new LinkedHashSet<>();
    for (Change change : changes.subList(0, count)) {
      Path file = change.file();
      switch (change.operation()) {
        case WRITE -> named(names, file).written.writeBytes(change.bytes());
        case SYNC -> {
          Inode inode = names.get(file);
          if (inode != null) {
            inode.forced = inode.written.size();
          } else {
            loose.stream().filter(renaming -> renaming.isIn(file)).forEach(r -> r.apply(confirmed));
            loose.removeIf(renaming -> renaming.isIn(file));
          }
        }
        // The loss of a folder takes everything in it along: no state of its own.
        case MAKE_FOLDER -> folders.add(file);
        case OPEN, MOVE, DELETE -> {
          Renaming renaming = Renaming.of(change, names);
          renaming.apply(names);
          loose.add(renaming);
        }
        case MAY_WRITE, LOCK, READ ->
            throw new IllegalArgumentException(change + " changes nothing");
      }
    }
    List<PowerLoss> states = new ArrayList<>();
    for (int subset = 0; subset < 1 << loose.size(); subset++) {
      Map<Path, Inode> survived = new LinkedHashMap<>(confirmed);
      for (int i = 0; i < loose.size(); i++) {
        if ((subset >> i & 1) != 0) {
          loose.get(i).apply(survived);
        }
      }
      for (Bytes damage : Bytes.values()) {
        Map<Path, byte[]> files = new LinkedHashMap<>();
        survived.forEach((path, inode) -> files.put(path, inode.after(damage)));
        states.add(new PowerLoss(folders, files));
      }
    }
    return states;
  }

  private static Inode named(Map<Path, Inode> names, Path file) {
    return Objects.requireNonNull(names.get(file), file::toString);
  }

  /** A change of names: at once, or not at all. */
  private record Renaming(Path from, Path to, @Nullable Inode inode) {

    static Renaming of(Change change, Map<Path, Inode> names) {
      Path file = change.file();
      return switch (change.operation()) {
        case OPEN -> new Renaming(file, file, names.getOrDefault(file, new Inode()));
        case MOVE -> new Renaming(file, change.target(), named(names, file));
        default -> new Renaming(file, file, null);
      };
    }

    boolean isIn(Path folder) {
      return folder.equals(to.getParent());
    }

    void apply(Map<Path, Inode> names) {
      names.remove(from);
      if (inode != null) {
        names.put(to, inode);
      }
    }
  }

  /** Makes the state in a folder of the machine, under the names that the files had. */
  public void write(Path root, Path in) throws IOException {
    Files.createDirectories(in);
    for (Path folder : folders) {
      Files.createDirectories(in.resolve(root.relativize(folder).toString()));
    }
    for (Map.Entry<Path, byte[]> file : files.entrySet()) {
      Path target = in.resolve(root.relativize(file.getKey()).toString());
      Files.createDirectories(target.getParent());
      Files.write(target, file.getValue());
    }
  }

  /** What tells two states apart. */
  public String key() {
    StringBuilder key = new StringBuilder();
    new TreeMap<>(files)
        .forEach((path, bytes) -> key.append(path).append(Arrays.hashCode(bytes)).append(';'));
    return key.toString();
  }
}
