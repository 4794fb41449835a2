package io.github.ddpm4j.web;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * How often each client may do something: so many times at once, and from then on so many times a
 * second.
 */
final class Allowance {

  private static final int MOST_CLIENTS = 10_000;

  /** What a client has left. */
  private static final class Purse {
    private double left;
    private long at;
  }

  private final double burst;
  private final double perSecond;
  private final LongSupplier nanos;

  /** Who came last is last; who is forgotten has all of it again. */
  private final Map<String, Purse> purses =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Purse> eldest) {
          return size() > MOST_CLIENTS;
        }
      };

  Allowance(double burst, double perSecond, LongSupplier nanos) {
    this.burst = burst;
    this.perSecond = perSecond;
    this.nanos = nanos;
  }

  /** Whether a client may, in which case it has. */
  synchronized boolean take(String client) {
    long now = nanos.getAsLong();
    Purse purse = purses.get(client);
    if (purse == null) {
      purse = new Purse();
      purse.left = burst;
      purses.put(client, purse);
    } else {
      purse.left = Math.min(burst, purse.left + (now - purse.at) / 1e9 * perSecond);
    }
    purse.at = now;
    if (purse.left < 1) {
      return false;
    }
    purse.left--;
    return true;
  }
}
